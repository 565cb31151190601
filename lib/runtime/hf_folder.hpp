// SPDX-License-Identifier: Apache-2.0
// Model folders as Hugging Face publishes them: config.json, safetensors, tokenizer files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder::hf {

// Opens a folder under GGUF's keys and tensor names; nothing is copied but small tensors that GGUF has and the folder has not.
//
// Read are config.json, model.safetensors or its shards, and if they are there tokenizer.json, tokenizer_config.json, chat_template.jinja
// and generation_config.json. Experts become one tensor a layer whose matrices lie apart; FP8 weights keep their factors.
// with_weights false: the weights' files are not opened, and all data reads as zeros, as in make_outline.
// Errors: with the file's path: IO, FORMAT, LIMIT, UNSUPPORTED; a tensor that is missing, has another shape than the config asks for, or
// is no part of the model; NOT_FOUND if with_weights is set and the folder has none.
Result<ModelFile> read_folder(const std::string& folder, bool with_weights);

// What `config`, the contents of a config.json, says of the model: keys and tensors, without text files, and with data that reads as zeros:
// for what a model will need before it is there. Errors begin with `path`: see read_config; LIMIT for a model that cannot be addressed.
Result<ModelFile> make_outline(const nlohmann::json& config, const std::string& path);

}  // namespace ponder::hf
