// SPDX-License-Identifier: Apache-2.0
// Adds up what is known before anything is allocated.
#include "runtime/memory_needs.hpp"

#include <utility>

#include "base/host_memory.hpp"
#include "model/architecture.hpp"
#include "runtime/executor.hpp"
#include "runtime/weight_placement.hpp"

namespace ponder {

namespace {

// Code of the library and of those it loads, thread stacks, small tables: 7 to 9 MB were measured, and a cap has to hold.
constexpr uint64_t kLibraryBytes = 10u << 20;

MemoryNeeds measure_needs(const PlacedProgram& program, const TextSide& text, const Placement& placement) {
    MemoryNeeds needs;
    needs.scratch = placement.scratch_bytes(program, 0);
    // A generation's logits and its sampler's scores and marks: three numbers a vocabulary entry.
    needs.host = kLibraryBytes + 3 * sizeof(float) * static_cast<uint64_t>(program.whole().view().n_vocab);
    if (const Tokenizer* tokenizer = text.tokenizer()) needs.host += tokenizer->memory_bytes();
    for (size_t i = 0; i < program.n_pieces(); i++) {
        needs.weights += resident_bytes(program.piece(i));
        needs.host += RowTable::memory_bytes(program.piece(i), placement.max_rows());
    }
    return needs;
}

}  // namespace

Result<Residence> choose_residence(const ModelFile& file, const TextSide& text, const Placement& placement, uint64_t allowed,
                                   int64_t n_tokens, PlacedProgram& program) {
    Residence residence{.needs = measure_needs(program, text, placement)};
    const uint64_t scratch_growth = placement.scratch_bytes(program, n_tokens) - residence.needs.scratch;
    residence.is_whole = residence.needs.total() <= allowed;
    if (residence.needs.total() + scratch_growth + kv_cache_bytes(program.whole().view(), n_tokens) <= allowed) return residence;
    auto streaming = build_graph(file, {.kv_type = program.whole().view().kv_type, .is_streaming = true});
    if (!streaming) return streaming.error();
    const uint64_t largest_expert = ExpertSource::largest_expert(streaming->program);
    if (largest_expert == 0) return residence;
    auto placed = PlacedProgram::create(std::move(streaming->program), placement);
    if (!placed) return placed.error();
    program = std::move(*placed);
    const MemoryNeeds needs = measure_needs(program, text, placement);
    return Residence{
        .needs = needs, .is_whole = false, .largest_expert = largest_expert, .streamed = residence.needs.weights - needs.weights};
}

uint64_t memory_allowed(uint64_t memory_cap) { return memory_cap != 0 ? memory_cap : memory_limit() / 10 * 9; }

uint64_t bytes_outside_host(const PlacedProgram& program, const Placement& placement, int64_t n_tokens) {
    uint64_t total = 0;
    for (size_t i = 0; placement.is_split() && i < program.n_pieces(); i++) {
        if (!placement.devices()[i].is_host) total += placement.device_bytes(program.whole(), program.piece(i), i, n_tokens);
    }
    return total;
}

uint64_t kv_cache_bytes(const ponder_program& program, int64_t n_tokens) {
    return kv_cache_bytes(program, program.kv_page_bytes, n_tokens);
}

uint64_t kv_cache_bytes(const ponder_program& program, uint64_t page_bytes, int64_t n_tokens) {
    const uint64_t pages_per_arena = KvPool::pages_in_arena(program.kv_page_bytes);
    const uint64_t n_pages = static_cast<uint64_t>((n_tokens + program.kv_page_tokens - 1) / program.kv_page_tokens);
    return (n_pages + pages_per_arena - 1) / pages_per_arena * pages_per_arena * page_bytes;
}

}  // namespace ponder
