// SPDX-License-Identifier: Apache-2.0
// A Hugging Face tokenizer in terms of GGUF's tokenizer.ggml.* keys.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "format/metadata.hpp"

namespace ponder {

// Writes vocabulary, merges, splitting and named tokens of a tokenizer.json (and tokenizer_config.json, which may be empty). Ids up to
// n_vocab that no token has become unused tokens, as models round their vocabularies up.
//
// Of added tokens GGUF keeps id, text, and whether they are control tokens: those that are marked special, and those that are written like
// one, since a chat's role tokens are not always marked.
// Errors: those of Tokenizer::from_json; UNSUPPORTED for tokenizers that the keys cannot tell (not byte-level, or splitting as no known
// family does); FORMAT for ids from n_vocab on.
Result<void> set_tokenizer_keys(std::string_view json, std::string_view config_json, int64_t n_vocab, Metadata& metadata);

}  // namespace ponder
