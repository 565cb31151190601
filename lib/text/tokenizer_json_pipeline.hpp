// SPDX-License-Identifier: Apache-2.0
// The components of tokenizer.json around the model: normalizer, pre_tokenizer, decoder and post_processor, told in TokenizerParts' terms.
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.hpp"
#include "text/tokenizer_parts.hpp"

namespace ponder {

// Reads them from the file's root into parts (symbols, pretokenizer and the flags of preparation and decoding). bos_text: what the
// post-processor puts first, empty if nothing. Errors: PONDER_STATUS_UNSUPPORTED (a component, by name, or a combination of them),
// FORMAT (a field of the wrong type), LIMIT.
Result<void> read_json_pipeline(const nlohmann::json& root, TokenizerParts& parts, std::string& bos_text);

// Fields of a JSON object with a default. Errors: PONDER_STATUS_FORMAT with the field's name if it has another type; null counts as absent.
Result<bool> json_bool(const nlohmann::json& object, const char* key, bool default_value);
Result<std::string> json_string(const nlohmann::json& object, const char* key, const char* default_value);

}  // namespace ponder
