// SPDX-License-Identifier: Apache-2.0
// Tokenizer, chat template and sampling defaults of a Hugging Face folder as GGUF's keys.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.hpp"
#include "format/metadata.hpp"

namespace ponder::hf {

// Each file may be missing. Of a tokenizer_config.json with several templates the one named "default" is taken; chat_template.jinja comes
// before both. Ids of tokens that no tokenizer file names come from generation_config.json and `config`, the contents of config.json.
// Errors: with the file's path: IO, FORMAT, LIMIT, UNSUPPORTED.
Result<void> read_text_files(const std::string& folder, const nlohmann::json& config, int64_t n_vocab, Metadata& metadata);

// A JSON file of the folder; null if it is missing. Errors: IO, LIMIT, FORMAT, with the path.
Result<nlohmann::json> read_json_file(const std::string& folder, const char* name);

}  // namespace ponder::hf
