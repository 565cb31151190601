// SPDX-License-Identifier: Apache-2.0
// Merging: a scan over ranks for words, a heap over a linked list for long sequences.
#include "text/bpe.hpp"

#include <algorithm>
#include <bit>
#include <functional>

namespace ponder {

namespace {

// Up to here scanning an array of ranks beats the heap; nearly all words are shorter.
constexpr size_t kFewSymbols = 48;
constexpr Merge kNoMerge{~uint32_t{0}, kNoToken};

}  // namespace

void MergeTable::reset(size_t n) {
    const size_t n_slots = std::bit_ceil(std::max<size_t>(2, n + n / 3 + 1));
    slots_.assign(n_slots, Slot{});
    shift_ = 64 - std::countr_zero(n_slots);
    factor_ = random_hash_seed() | 1;
    n_merges_ = 0;
}

void MergeTable::insert(TokenId left, TokenId right, Merge merge) {
    const uint64_t key = pair_key(left, right);
    size_t i = slot_of(key);
    while (slots_[i].key != kEmpty) {
        if (slots_[i].key == key) return;
        i = (i + 1) & (slots_.size() - 1);
    }
    slots_[i] = {key, merge};
    ++n_merges_;
}

void BpeMerger::merge(const MergeTable& table, std::vector<TokenId>& symbols) {
    if (symbols.size() < 2) return;
    if (symbols.size() <= kFewSymbols) {
        merge_few(table, symbols);
    } else {
        merge_many(table, symbols);
    }
}

void BpeMerger::merge_few(const MergeTable& table, std::vector<TokenId>& symbols) {
    const auto pair_at = [&](size_t i) {
        const Merge* merge = table.find(symbols[i], symbols[i + 1]);
        return merge != nullptr ? *merge : kNoMerge;
    };
    pairs_.clear();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) pairs_.push_back(pair_at(i));
    while (!pairs_.empty()) {
        const auto best = std::min_element(pairs_.begin(), pairs_.end(), [](const Merge& a, const Merge& b) { return a.rank < b.rank; });
        if (best->id == kNoToken) break;
        const auto i = static_cast<size_t>(best - pairs_.begin());
        symbols[i] = best->id;
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        pairs_.erase(best);
        if (i > 0) pairs_[i - 1] = pair_at(i - 1);
        if (i + 1 < symbols.size()) pairs_[i] = pair_at(i);
    }
}

void BpeMerger::merge_many(const MergeTable& table, std::vector<TokenId>& symbols) {
    const auto n = static_cast<int32_t>(symbols.size());
    nodes_.clear();
    nodes_.reserve(symbols.size());
    for (int32_t i = 0; i < n; ++i) nodes_.push_back({symbols[static_cast<size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1});

    const auto node = [&](int32_t i) -> Node& { return nodes_[static_cast<size_t>(i)]; };
    const auto find = [&](int32_t left) { return node(left).next < 0 ? nullptr : table.find(node(left).id, node(node(left).next).id); };
    queue_.clear();
    for (int32_t i = 0; i + 1 < n; ++i) {
        if (const Merge* merge = find(i)) queue_.push_back(uint64_t{merge->rank} << 32 | static_cast<uint32_t>(i));
    }
    std::make_heap(queue_.begin(), queue_.end(), std::greater<>());
    const auto enqueue = [&](int32_t left) {
        if (left < 0) return;
        const Merge* merge = find(left);
        if (merge == nullptr) return;
        queue_.push_back(uint64_t{merge->rank} << 32 | static_cast<uint32_t>(left));
        std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
    };

    while (!queue_.empty()) {
        const uint64_t top = queue_.front();
        std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
        queue_.pop_back();
        const auto left = static_cast<int32_t>(top & 0xffffffffu);
        // An entry is stale if a neighbour has changed since: then the pair has another rank, or the left node is gone.
        if (node(left).id == kNoToken) continue;
        const Merge* merge = find(left);
        if (merge == nullptr || merge->rank != top >> 32) continue;
        const int32_t right = node(left).next;
        node(left).id = merge->id;
        node(left).next = node(right).next;
        node(right).id = kNoToken;
        if (node(left).next >= 0) node(node(left).next).previous = left;
        enqueue(node(left).previous);
        enqueue(left);
    }

    symbols.clear();
    for (int32_t i = 0; i >= 0; i = node(i).next) symbols.push_back(node(i).id);
}

}  // namespace ponder
