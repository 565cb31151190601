// SPDX-License-Identifier: Apache-2.0
// Opens a model of any format under one view: GGUF's keys and tensor names.
#pragma once

#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder {

// A GGUF file or the first of its parts; or a Hugging Face folder, given by itself, or by its config.json, its model.safetensors or its
// model.safetensors.index.json. Errors: see read_gguf and hf::read_folder.
Result<ModelFile> read_model_file(const std::string& path);

// The same, but a Hugging Face folder may lack the weights: then all data reads as zeros. For what is computed from shapes alone.
Result<ModelFile> read_model_outline(const std::string& path);

}  // namespace ponder
