// SPDX-License-Identifier: Apache-2.0
// What a model takes in memory, and whether its experts have to be streamed. Shared by plan and open.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "format/model_file.hpp"
#include "runtime/placement.hpp"
#include "runtime/text_side.hpp"

namespace ponder {

// Of an open model without sessions.
struct MemoryNeeds {
    uint64_t weights = 0;  // that stay in memory
    uint64_t scratch = 0;  // the backends', for a cache of one type
    uint64_t host = 0;     // the library, the tokenizer, logits, and what sampling works in

    uint64_t total() const { return weights + scratch + host; }
};

struct Residence {
    MemoryNeeds needs;
    bool is_whole = true;         // all of the model fits
    uint64_t largest_expert = 0;  // bytes that a run needs of streamed experts at once; 0: none are streamed
    uint64_t streamed = 0;        // bytes of all streamed experts

    bool is_streaming() const { return largest_expert > 0; }
};

// Decides whether the model's experts, if it has any, are streamed: where it does not fit into `allowed` beside one session of n_tokens.
// `program` is rebuilt if they are.
Result<Residence> choose_residence(const ModelFile& file, const TextSide& text, const Placement& placement, uint64_t allowed,
                                   int64_t n_tokens, PlacedProgram& program);

// What a model may take: the cap, or without one nine tenths of what the system grants the process.
uint64_t memory_allowed(uint64_t memory_cap);

// What a split model and one session of n_tokens take on devices that do not compute in host memory, which the system does not grant.
uint64_t bytes_outside_host(const PlacedProgram& program, const Placement& placement, int64_t n_tokens);

// Cache pages of one session with n_tokens: whole pages in whole arenas.
uint64_t kv_cache_bytes(const ponder_program& program, int64_t n_tokens);
// What a device has of it that has page_bytes of each page of `program`'s cache.
uint64_t kv_cache_bytes(const ponder_program& program, uint64_t page_bytes, int64_t n_tokens);

}  // namespace ponder
