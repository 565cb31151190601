// SPDX-License-Identifier: Apache-2.0
// Steps that the readers of tokenizer files share: spelling of tokens, merges between them, and the checks at the end.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "text/tokenizer_parts.hpp"

namespace ponder {

// The bytes of a vocabulary entry as it is spelled in the file. False if no text can give it (characters outside the byte alphabet).
bool spell_token(SymbolKind symbols, std::string_view entry, std::string& bytes);

// Collects merges in order of rank. parts.vocabulary and parts.specials must be complete and outlive it.
class MergeBuilder {
  public:
    // n: merges to come, at most limits::kMaxMerges.
    MergeBuilder(const TokenizerParts& parts, size_t n);
    // Two entries as the file spells them. A merge into, or of, a special token is passed over: plain text never becomes one.
    // Errors: PONDER_STATUS_FORMAT (a part, or both together, are no token).
    Result<void> add(std::string_view left, std::string_view right);
    // "left right": exactly one space, with something on both sides.
    Result<void> add(std::string_view pair);
    MergeTable take() { return std::move(table_); }

  private:
    // kNoToken in `id` for a special token's text.
    Result<void> find(std::string_view entry, const std::string& bytes, TokenId& id) const;

    const TokenizerParts& parts_;
    MergeTable table_;
    uint32_t rank_ = 0;
    std::string left_, right_;
};

// Errors: PONDER_STATUS_LIMIT past limits::kMaxMerges.
Result<void> check_merge_count(size_t n);

// Fills what follows from vocabulary and specials (byte tokens, word cuts, ends of generation) and checks the named tokens' ids.
// Errors: PONDER_STATUS_FORMAT.
Result<void> finish_parts(TokenizerParts& parts);

}  // namespace ponder
