// SPDX-License-Identifier: Apache-2.0
// Opens a model file of any format under one view: GGUF's keys and tensor names.
#pragma once

#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder {

// A GGUF file or the first of its parts. Errors: see read_gguf.
Result<ModelFile> read_model_file(const std::string& path);

}  // namespace ponder
