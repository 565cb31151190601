// SPDX-License-Identifier: Apache-2.0
// Adds up what is known before anything is allocated.
#include "runtime/memory_needs.hpp"

#include "base/host_memory.hpp"
#include "runtime/executor.hpp"
#include "runtime/weight_placement.hpp"

namespace ponder {

MemoryNeeds measure_needs(const Program& program, const DeviceSlot& slot, const TextSide& text, int32_t n_threads, int64_t n_context) {
    const ponder_program& view = program.view();
    MemoryNeeds needs;
    needs.weights = resident_bytes(program);
    needs.scratch = slot.backend->scratch_bytes(&view, Executor::kMaxRows, Executor::kMaxRows, n_threads, n_context);
    // A generation's logits and its sampler's scores and marks: three numbers a vocabulary entry.
    needs.host = 3 * sizeof(float) * static_cast<uint64_t>(view.n_vocab);
    if (const Tokenizer* tokenizer = text.tokenizer()) needs.host += tokenizer->memory_bytes();
    return needs;
}

uint64_t memory_allowed(uint64_t memory_cap) { return memory_cap != 0 ? memory_cap : memory_limit() / 10 * 9; }

uint64_t kv_cache_bytes(const ponder_program& program, int64_t n_tokens) {
    const uint64_t pages_per_arena = KvPool::pages_in_arena(program.kv_page_bytes);
    const uint64_t n_pages = static_cast<uint64_t>((n_tokens + program.kv_page_tokens - 1) / program.kv_page_tokens);
    return (n_pages + pages_per_arena - 1) / pages_per_arena * pages_per_arena * program.kv_page_bytes;
}

}  // namespace ponder
