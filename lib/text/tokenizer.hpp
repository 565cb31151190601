// SPDX-License-Identifier: Apache-2.0
// Text to tokens and back, for byte-level BPE and SentencePiece-style vocabularies from GGUF metadata or tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "format/metadata.hpp"
#include "text/text_span.hpp"
#include "text/vocabulary.hpp"

namespace ponder {

struct TokenizerParts;

struct EncodeOptions {
    // Recognise the text of special tokens: control tokens, and added (user-defined) ones. Off: the whole text is plain.
    bool parse_special = false;
    // Sorted byte ranges of the text, apart from each other, with which no special token may share a byte: text that a user wrote.
    // They do not cut words: a token of plain text may lie across their ends.
    std::span<const TextSpan> literal = {};
};

// Immutable: any number of threads may use one.
class Tokenizer {
  public:
    // From a GGUF's tokenizer.ggml.* keys. Copies what it needs. Errors: PONDER_STATUS_NOT_FOUND (no tokenizer.ggml.model), UNSUPPORTED
    // (model or pre-tokenizer, by name), FORMAT, LIMIT.
    static Result<std::unique_ptr<Tokenizer>> from_metadata(const Metadata& metadata);
    // From a Hugging Face tokenizer.json. A tokenizer_config.json beside the file gives the begin, end and padding tokens if it is there.
    // Errors: PONDER_STATUS_IO, FORMAT, LIMIT, UNSUPPORTED (a component that is not known, by name).
    static Result<std::unique_ptr<Tokenizer>> from_json_file(const std::string& path);
    static Result<std::unique_ptr<Tokenizer>> from_json(std::string_view json, std::string_view config_json = {});

    explicit Tokenizer(TokenizerParts parts);
    ~Tokenizer();

    // Adds no begin token. Bytes that are not UTF-8 become byte tokens. Errors: PONDER_STATUS_LIMIT (over limits::kMaxTextBytes, or a
    // pattern from a file takes too much work), INVALID_ARGUMENT (literal), FORMAT (the vocabulary has no token for a byte of the text).
    Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options = {}) const;
    // What one token adds to a text: any bytes, possibly a part of a UTF-8 sequence; valid as long as the tokenizer. Empty if id is out of
    // range. Put a stream of tokens through a Utf8Stream.
    std::string_view decode(TokenId id) const;
    // The text of the tokens, special ones included, with malformed UTF-8 replaced by U+FFFD. Vocabularies that put a space before the
    // first word lose it again. Errors: PONDER_STATUS_INVALID_ARGUMENT (an id out of range, with its index).
    Result<std::string> decode(std::span<const TokenId> ids) const;

    int32_t n_tokens() const;
    // kUnused if the id is out of range.
    TokenKind kind(TokenId id) const;
    // kNoToken (-1) where the vocabulary names none.
    TokenId bos() const;
    TokenId eos() const;
    TokenId pad() const;
    // True if texts for this model begin with bos().
    bool adds_bos() const;
    // eos(), the end-of-turn and end-of-message tokens that the file names, and special tokens with the texts that models end turns with.
    // An ordinary vocabulary entry that happens to read "</s>" is none.
    bool is_end_of_generation(TokenId id) const;
    // The special (control or user-defined) token with exactly this text, or kNoToken.
    TokenId find_special(std::string_view text) const;
    // Bytes held, without allocator overhead.
    size_t memory_bytes() const;

  private:
    struct Encoder;

    std::unique_ptr<const TokenizerParts> parts_;
};

}  // namespace ponder
