// SPDX-License-Identifier: Apache-2.0
// Vocabularies of synthetic models: made up, or from a tokenizer.json, with the special tokens that R1's chat format needs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "format/metadata.hpp"

namespace ponder::synth {

// GGUF's tokenizer.ggml.token_type.
enum class TokenKind : int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

struct SpecialToken {
    int32_t id;
    const char* text;
    TokenKind kind;
};

// What the models of one family share.
struct VocabularyFamily {
    const char* pre;                         // tokenizer.ggml.pre: names the splitting pattern
    int32_t n_base;                          // ids below are ordinary tokens, but for specials that come first
    std::span<const SpecialToken> specials;  // by id: perhaps some from 0 on without a gap, the others from n_base on
    int32_t bos_id, eos_id, pad_id;
    bool add_bos;
};

extern const VocabularyFamily kR1QwenVocabulary, kR1LlamaVocabulary, kR1Qwen3Vocabulary, kDeepSeekV3Vocabulary, kDeepSeekV2Vocabulary;
extern const VocabularyFamily kTinyQwenVocabulary, kTinyLlamaVocabulary, kTinyDeepSeekVocabulary;

struct Vocabulary {
    std::vector<std::string> tokens;  // [n_vocab], in the byte-level alphabet
    std::vector<int32_t> kinds;       // [n_vocab], TokenKind
    std::vector<std::string> merges;  // "left right", by rank
    std::optional<int32_t> bos_id, eos_id, pad_id;
    bool add_bos = false;
};

// 256 byte tokens, merges of English letter pairs and words, fillers with unique texts up to the family's special tokens, unused ones
// after them. It tokenizes any text. n_vocab is at least the family's last special id + 1.
Vocabulary make_up_vocabulary(const VocabularyFamily& family, int32_t n_vocab);

// The tokenizer.* keys of a Hugging Face tokenizer.json, with R1's chat template. The ids of BOS, EOS and padding are those of the tokens
// with R1's names, or else with other families' names; absent if there is none. Errors: IO, LIMIT (file size), and those of
// set_tokenizer_keys.
Result<void> set_tokenizer(const std::string& path, const VocabularyFamily& family, int32_t n_vocab, Metadata& metadata);

// tokenizer.chat_template: R1's format.
void set_chat_template(Metadata& metadata);

// The tokenizer.* keys, with R1's chat template.
void set_vocabulary(const Vocabulary& vocabulary, const VocabularyFamily& family, Metadata& metadata);

}  // namespace ponder::synth
