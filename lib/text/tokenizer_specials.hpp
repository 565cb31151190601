// SPDX-License-Identifier: Apache-2.0
// Special tokens: finding their exact text inside a longer text, outside the stretches that a user wrote.
#pragma once

#include <array>
#include <bitset>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/text_span.hpp"
#include "text/vocabulary.hpp"

namespace ponder {

// A token that is taken whole where its text occurs. The flags are those of added_tokens in tokenizer.json.
struct SpecialToken {
    std::string text;
    TokenId id = kNoToken;
    bool is_single_word = false;  // only where no word character stands next to it
    bool strips_left = false;     // takes white space before it, too
    bool strips_right = false;
};

// A special token that was found; [begin, end) includes the white space that it takes.
struct SpecialMatch {
    TokenId id = kNoToken;  // kNoToken: none is left
    size_t begin = 0, end = 0;
};

// Immutable once built.
class SpecialMatcher {
  public:
    // Of tokens with the same text the first stays; tokens without text are left out.
    // Errors: PONDER_STATUS_LIMIT (number of tokens, bytes of one).
    static Result<SpecialMatcher> create(std::vector<SpecialToken> tokens);
    bool empty() const { return tokens_.empty(); }

    // The first match in `text` at or after `from`; of several that begin together the longest. A single word that does not stand alone is
    // passed over with all its bytes, as Hugging Face's tokenizers do. No match shares a byte with a literal span (sorted, inside the text,
    // not overlapping).
    SpecialMatch find(std::string_view text, size_t from, std::span<const TextSpan> literal) const;
    // The token with exactly this text, or kNoToken.
    TokenId find_exact(std::string_view text) const;

  private:
    const SpecialToken* longest_at(std::string_view text, size_t begin, size_t end) const;

    std::vector<SpecialToken> tokens_;  // sorted by text
    std::bitset<256> first_bytes_;
};

}  // namespace ponder
