// SPDX-License-Identifier: Apache-2.0
// What attends (cpu_attend.cpp) for what deals out the work (cpu_attention.cpp).
#pragma once

#include <algorithm>
#include <limits>

#include "cpu_plan.hpp"

namespace ponder::cpu {

// Tokens of the cache that are worked on together.
inline constexpr int64_t kTileTokens = 64;

// The softmax so far of one query: its largest score, and the sum of exponentials relative to it.
struct State {
    float top = -std::numeric_limits<float>::infinity(), total = 0.0f;
};

// One row's queries over tokens [begin, end): sums [n_heads, padded(v_dim)], not yet divided by the states' totals.
void attend_row(const Run& run, const AttentionItem& item, int64_t begin, int64_t end, float* sums, State* states, ThreadScratch& scratch);
// sums [n_heads, padded(v_dim)] / totals to dst [n_heads, v_dim].
void finish(const CachedHeads& cache, const float* sums, const State* states, int64_t n_heads, float* dst);
// Whether many queries go through tiles of a matrix unit: only where the cache has rounded already what it holds to half floats or less.
bool attends_in_tiles(const Kernels& kernels, const ponder_program& program);

inline void grow(size_t& size, int64_t n) { size = std::max(size, static_cast<size_t>(n)); }

}  // namespace ponder::cpu
