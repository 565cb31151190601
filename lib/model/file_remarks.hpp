// SPDX-License-Identifier: Apache-2.0
// Remarks on a model file: what the library does with it that its keys alone do not say.
#pragma once

#include <string>
#include <vector>

#include "format/model_file.hpp"

namespace ponder {

// Sentences without a trailing period, each "subject: what holds"; none for most files. Files of any architecture; what is wrong with a
// file is for build_graph to say.
std::vector<std::string> file_remarks(const ModelFile& file);

}  // namespace ponder
