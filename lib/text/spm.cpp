// SPDX-License-Identifier: Apache-2.0
// Scores to merges: merging by the highest-scored token that two neighbours form is merging by rank.
#include "text/spm.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

#include "base/limits.hpp"

namespace ponder {

namespace {

struct ScoredMerge {
    TokenId left, right, id;
};

bool is_continuation_byte(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

// rank[id]: 0 for the highest score; equal scores have equal ranks.
std::vector<uint32_t> rank_scores(std::span<const float> scores) {
    std::vector<TokenId> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto score = [&](TokenId id) { return scores[static_cast<size_t>(id)]; };
    std::sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return score(a) > score(b); });
    std::vector<uint32_t> ranks(scores.size());
    for (size_t i = 0, rank = 0; i < order.size(); ++i) {
        if (i > 0 && score(order[i]) != score(order[i - 1])) rank = i;
        ranks[static_cast<size_t>(order[i])] = static_cast<uint32_t>(rank);
    }
    return ranks;
}

}  // namespace

Result<MergeTable> merges_from_scores(const Vocabulary& vocabulary, std::span<const float> scores) {
    if (vocabulary.max_text_bytes() > kMaxScoredTokenBytes) {
        return make_error(PONDER_STATUS_LIMIT, "a token of a scored vocabulary has %zu bytes; the limit is %zu",
                          vocabulary.max_text_bytes(), kMaxScoredTokenBytes);
    }
    std::vector<ScoredMerge> merges;
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
        const std::string_view text = vocabulary.bytes(id);
        if (vocabulary.find(text) != id) continue;
        for (size_t split = 1; split < text.size(); ++split) {
            if (is_continuation_byte(text[split])) continue;
            const TokenId left = vocabulary.find(text.substr(0, split));
            const TokenId right = left == kNoToken ? kNoToken : vocabulary.find(text.substr(split));
            if (right == kNoToken) continue;
            if (merges.size() >= limits::kMaxMerges) {
                return make_error(PONDER_STATUS_LIMIT, "the scores stand for more than %zu merges", limits::kMaxMerges);
            }
            merges.push_back({left, right, id});
        }
    }
    const std::vector<uint32_t> ranks = rank_scores(scores);
    MergeTable table;
    table.reset(merges.size());
    for (const ScoredMerge& merge : merges) table.insert(merge.left, merge.right, {ranks[static_cast<size_t>(merge.id)], merge.id});
    return table;
}

}  // namespace ponder
