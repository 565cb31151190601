// SPDX-License-Identifier: Apache-2.0
// Adds up weights, cache, scratch and host tables without opening a device or reading a weight.
#include "runtime/plan.hpp"

#include <algorithm>

#include "runtime/memory_needs.hpp"
#include "runtime/model_source.hpp"

namespace ponder {

namespace {

// The largest context whose cache fits `room`, in whole arenas.
int64_t context_within(const ponder_program& program, uint64_t room, int64_t most) {
    const uint64_t pages_per_arena = KvPool::pages_in_arena(program.kv_page_bytes);
    const uint64_t n_arenas = room / (pages_per_arena * program.kv_page_bytes);
    const auto tokens_per_arena = static_cast<int64_t>(pages_per_arena) * program.kv_page_tokens;
    if (n_arenas >= static_cast<uint64_t>(most / tokens_per_arena + 1)) return most;
    return std::min(most, static_cast<int64_t>(n_arenas) * tokens_per_arena);
}

}  // namespace

Result<Plan> make_plan(const std::string& path, const ModelOptions& options, const SessionOptions& session) {
    auto file = read_model_outline(path);
    if (!file) return file.error();
    auto graph = build_graph(*file, {.kv_type = session.kv_type});
    if (!graph) return with_context(graph.error(), path);
    auto text = read_text_side(*file, graph->hyper_parameters);
    if (!text) return with_context(text.error(), path);
    const auto context = Session::choose_context(graph->hyper_parameters, session);
    if (!context) return context.error();
    const auto slot = choose_device(options.device);
    if (!slot) return slot.error();

    const ponder_program& program = graph->program.view();
    const HyperParameters& h = graph->hyper_parameters;
    ponder_device_info device = PONDER_DEVICE_INFO_INIT;
    slot->backend->device_describe(slot->local_index, &device, nullptr);

    Plan plan;
    plan.device = *slot;
    plan.device_name = device.name != nullptr ? device.name : "";
    const MemoryNeeds needs = measure_needs(graph->program, *slot, **text, options.n_threads, *context);
    plan.weight_bytes = needs.weights;
    plan.context = *context;
    plan.kv_bytes = kv_cache_bytes(program, plan.context);
    plan.kv_bytes_per_token = program.kv_page_bytes / static_cast<uint64_t>(program.kv_page_tokens);
    plan.scratch_bytes = needs.scratch;
    plan.host_bytes = needs.host;
    plan.decode_bytes = graph->program.decode_bytes();

    const uint64_t fixed = plan.total_bytes() - plan.kv_bytes;
    plan.fits = options.memory_cap == 0 || plan.total_bytes() <= options.memory_cap;
    plan.max_context = h.context_length;
    if (options.memory_cap != 0) {
        plan.max_context = options.memory_cap <= fixed ? 0 : context_within(program, options.memory_cap - fixed, h.context_length);
    }
    return plan;
}

}  // namespace ponder
