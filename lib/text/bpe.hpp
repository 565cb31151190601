// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding: the table of merges, and merging a sequence of symbols in time n log n.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "text/vocabulary.hpp"

namespace ponder {

// What becomes of two neighbouring tokens. Lower ranks merge first.
struct Merge {
    uint32_t rank;
    TokenId id;
};

// Merges by the pair of tokens that they join. 16 bytes a slot, at most 3/4 full.
class MergeTable {
  public:
    // Room for n merges; empties the table.
    void reset(size_t n);
    // The first merge of a pair stays. All ids are at least 0; at most as many merges as there is room for.
    void insert(TokenId left, TokenId right, Merge merge);
    // Null if the two do not merge.
    const Merge* find(TokenId left, TokenId right) const {
        if (slots_.empty()) return nullptr;
        const uint64_t key = pair_key(left, right);
        for (size_t i = slot_of(key);; i = (i + 1) & (slots_.size() - 1)) {
            if (slots_[i].key == key) return &slots_[i].merge;
            if (slots_[i].key == kEmpty) return nullptr;
        }
    }
    size_t size() const { return n_merges_; }
    size_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }

  private:
    static constexpr uint64_t kEmpty = ~uint64_t{0};  // no pair: ids are not negative
    struct Slot {
        uint64_t key = kEmpty;
        Merge merge{};
    };

    static uint64_t pair_key(TokenId left, TokenId right) { return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right); }
    // Multiply-shift with a random odd factor: few collisions whatever the pairs.
    size_t slot_of(uint64_t key) const { return static_cast<size_t>((key ^ key >> 29) * factor_ >> shift_); }

    std::vector<Slot> slots_;
    uint64_t factor_ = 1;
    int shift_ = 63;
    size_t n_merges_ = 0;
};

// Merges sequences of symbols; its working memory is kept from one to the next. For one thread at a time.
class BpeMerger {
  public:
    // Replaces symbols by what is left after all merges, lowest rank first, leftmost first among equals. At most 2^31 symbols.
    void merge(const MergeTable& table, std::vector<TokenId>& symbols);

  private:
    struct Node {
        TokenId id;
        int32_t previous, next;  // -1 at the ends
    };

    void merge_few(const MergeTable& table, std::vector<TokenId>& symbols);
    void merge_many(const MergeTable& table, std::vector<TokenId>& symbols);

    std::vector<Merge> pairs_;  // of symbol i and i + 1
    std::vector<Node> nodes_;
    std::vector<uint64_t> queue_;  // heap of rank << 32 | index of the left node, smallest on top
};

}  // namespace ponder
