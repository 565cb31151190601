// SPDX-License-Identifier: Apache-2.0
// What the readers of tokenizer files hand to Tokenizer: vocabulary, merges, and how text is prepared for them.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/bpe.hpp"
#include "text/pretokenizer.hpp"
#include "text/tokenizer_specials.hpp"
#include "text/vocabulary.hpp"

namespace ponder {

// What merging starts from.
enum class SymbolKind {
    kBytes,       // byte-level BPE
    kCharacters,  // SentencePiece style; U+2581 stands for a space
};

// When a stretch of plain text gets a space in front, so that its first word is tokenized like the others.
enum class SpacePrefix { kNever, kAlways, kUnlessSpace };

struct TokenizerParts {
    TokenizerParts() { byte_tokens.fill(kNoToken); }

    Vocabulary vocabulary;
    MergeTable merges;
    Pretokenizer pretokenizer;
    // Found in the text as written, and (added tokens with "normalized") in what is left after normalization.
    SpecialMatcher specials, normalized_specials;

    SymbolKind symbols = SymbolKind::kBytes;
    std::array<TokenId, 256> byte_tokens;  // kBytes: the token of each byte; kCharacters: <0x00> to <0xFF>, the fallback
    bool uses_nfc = false;
    SpacePrefix space_prefix = SpacePrefix::kNever;
    bool strips_space_prefix = false;  // decoding takes it off again
    bool ignores_merges = false;       // a piece that is a token is taken whole
    bool fuses_unknown = false;        // a run of unknown characters is one token
    bool cuts_before_spaces = false;   // no token holds a space behind something else, so words can be merged one by one

    TokenId bos = kNoToken, eos = kNoToken, pad = kNoToken, unknown = kNoToken;
    bool adds_bos = false;
    std::vector<TokenId> end_of_generation;  // sorted
};

// Adds, to end_of_generation, eos and the special tokens with well-known texts; sorts it.
void collect_end_of_generation(TokenizerParts& parts);

// Sets cuts_before_spaces from the vocabulary.
void find_word_cuts(TokenizerParts& parts);

// The byte that "<0x00>" to "<0xFF>" stands for, or -1 for any other text.
int parse_byte_token(std::string_view text);

// Writes the bytes of a byte-level token, given in the printable alphabet; false (and nothing) if it has characters outside of it.
bool decode_printable(std::string_view text, std::string& bytes);

// `text` with U+2581 as spaces.
std::string spaces_from_marks(std::string_view text);

}  // namespace ponder
