// SPDX-License-Identifier: Apache-2.0
// Building TokenizerParts: merges are resolved to token ids once, so that encoding never touches their text.
#include "text/tokenizer_build.hpp"

#include "base/limits.hpp"
#include "base/utf8.hpp"

namespace ponder {

bool spell_token(SymbolKind symbols, std::string_view entry, std::string& bytes) {
    if (symbols == SymbolKind::kCharacters) {
        bytes = spaces_from_marks(entry);
        return true;
    }
    if (decode_printable(entry, bytes)) return true;
    bytes.assign(entry);
    return false;
}

MergeBuilder::MergeBuilder(const TokenizerParts& parts, size_t n) : parts_(parts) { table_.reset(n); }

Result<void> MergeBuilder::find(std::string_view entry, const std::string& bytes, TokenId& id) const {
    id = parts_.vocabulary.find(bytes);
    if (id != kNoToken || parts_.specials.find_exact(bytes) != kNoToken || parts_.normalized_specials.find_exact(bytes) != kNoToken)
        return {};
    return make_error(PONDER_STATUS_FORMAT, "merge %u needs '%s', which is not in the vocabulary", rank_, printable(entry).c_str());
}

Result<void> MergeBuilder::add(std::string_view left, std::string_view right) {
    spell_token(parts_.symbols, left, left_);
    spell_token(parts_.symbols, right, right_);
    TokenId left_id = kNoToken, right_id = kNoToken, id = kNoToken;
    if (auto found = find(left, left_, left_id); !found) return found;
    if (auto found = find(right, right_, right_id); !found) return found;
    left_.append(right_);
    if (auto found = find(left_, left_, id); !found) return found;
    if (left_id != kNoToken && right_id != kNoToken && id != kNoToken) table_.insert(left_id, right_id, {rank_, id});
    ++rank_;
    return {};
}

Result<void> MergeBuilder::add(std::string_view pair) {
    const size_t space = pair.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == pair.size() || pair.find(' ', space + 1) != std::string_view::npos) {
        return make_error(PONDER_STATUS_FORMAT, "merge %u, '%s', is not two tokens with a space between them", rank_,
                          printable(pair).c_str());
    }
    return add(pair.substr(0, space), pair.substr(space + 1));
}

Result<void> check_merge_count(size_t n) {
    if (n <= limits::kMaxMerges) return {};
    return make_error(PONDER_STATUS_LIMIT, "there are %zu merges; the limit is %zu", n, limits::kMaxMerges);
}

Result<void> finish_parts(TokenizerParts& parts) {
    const struct {
        const char* name;
        TokenId id;
    } named[] = {{"begin", parts.bos}, {"end", parts.eos}, {"padding", parts.pad}, {"unknown", parts.unknown}};
    for (const auto& [name, id] : named) {
        if (id != kNoToken && !parts.vocabulary.contains(id)) {
            return make_error(PONDER_STATUS_FORMAT, "the %s token's id %d is outside the vocabulary of %d tokens", name, id,
                              parts.vocabulary.size());
        }
    }
    if (parts.adds_bos && parts.bos == kNoToken) parts.adds_bos = false;
    if (parts.symbols == SymbolKind::kBytes) {
        for (size_t byte = 0; byte < parts.byte_tokens.size(); ++byte) {
            const auto c = static_cast<char>(byte);
            parts.byte_tokens[byte] = parts.vocabulary.find({&c, 1});
        }
    } else {
        find_word_cuts(parts);
    }
    collect_end_of_generation(parts);
    return {};
}

}  // namespace ponder
