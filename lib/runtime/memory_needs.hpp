// SPDX-License-Identifier: Apache-2.0
// What a model takes in memory beside its cache of tokens, and whether its experts have to be streamed. Shared by plan and open.
#pragma once

#include <cstdint>

#include "device/registry.hpp"
#include "op/program.hpp"
#include "runtime/text_side.hpp"

namespace ponder {

struct MemoryNeeds {
    uint64_t weights = 0;  // that stay in memory
    uint64_t scratch = 0;  // the backend's
    uint64_t host = 0;     // the tokenizer, logits, and what sampling works in

    uint64_t total() const { return weights + scratch + host; }
};

MemoryNeeds measure_needs(const Program& program, const DeviceSlot& slot, const TextSide& text, int32_t n_threads, int64_t n_context);

// What a model may take: the cap, or without one nine tenths of what the system grants the process.
uint64_t memory_allowed(uint64_t memory_cap);

// Cache pages of one session with n_tokens: whole pages in whole arenas.
uint64_t kv_cache_bytes(const ponder_program& program, int64_t n_tokens);

// Room that streamed experts leave to sessions: the cache of this many tokens.
inline constexpr int64_t kStreamingReserveTokens = 4096;

}  // namespace ponder
