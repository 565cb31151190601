// SPDX-License-Identifier: Apache-2.0
// Adds up weights, cache, scratch and host tables without opening a device or reading a weight.
#include "runtime/plan.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/memory_needs.hpp"
#include "runtime/model_source.hpp"
#include "runtime/weight_placement.hpp"

namespace ponder {

namespace {

// The model and one session, as Model::open and the session would take them from a budget.
class Costs {
  public:
    static Result<Costs> of(const ModelFile& file, const TextSide& text, const Placement& placement, uint64_t allowed,
                            int64_t default_context, int32_t usual_kv_type, int32_t kv_type) {
        auto graph = build_graph(file, {.kv_type = usual_kv_type});
        if (!graph) return graph.error();
        auto program = PlacedProgram::create(std::move(graph->program), placement);
        if (!program) return program.error();
        auto residence = choose_residence(file, text, placement, allowed, default_context, *program);
        if (!residence) return residence.error();
        if (kv_type == usual_kv_type) return Costs(placement, *residence, std::move(*program));
        graph = build_graph(file, {.kv_type = kv_type, .is_streaming = residence->is_streaming()});
        if (!graph) return graph.error();
        program = PlacedProgram::create(std::move(graph->program), placement);
        if (!program) return program.error();
        return Costs(placement, *residence, std::move(*program));
    }

    const Residence& residence() const { return residence_; }
    const Program& program() const { return program_.whole(); }
    uint64_t kv_bytes(int64_t n_tokens) const { return kv_cache_bytes(program().view(), n_tokens); }
    // Opening compiles the program for a cache of the usual type, and the session's type then takes its place.
    uint64_t scratch_bytes(int64_t n_tokens) const {
        return std::max(residence_.needs.scratch, placement_.scratch_bytes(program_, n_tokens));
    }
    PlanShare share(size_t i, int64_t n_tokens) const {
        const PlacedDevice& device = placement_.devices()[i];
        const Program& piece = program_.piece(i);
        ponder_device_info info = PONDER_DEVICE_INFO_INIT;
        device.slot.backend->device_describe(device.slot.local_index, &info, nullptr);
        PlanShare share{.device = device.slot,
                        .device_name = info.name != nullptr ? info.name : "",
                        .first_layer = device.first_layer,
                        .n_layers = std::min(device.n_layers, count_layers(program())),
                        .weight_bytes = resident_bytes(piece),
                        .kv_bytes = kv_cache_bytes(program().view(), piece.view().kv_page_bytes, n_tokens),
                        .scratch_bytes = placement_.is_split() ? placement_.scratch_bytes(program_, i, n_tokens) : scratch_bytes(n_tokens),
                        .memory_bytes = device.memory_bytes};
        for (const ponder_op& op : piece.ops()) share.n_expert_layers += op.kind == PONDER_OP_MOE_FFN;
        return share;
    }
    // With room for no more than one expert.
    uint64_t least_bytes(int64_t n_tokens) const {
        const MemoryNeeds& needs = residence_.needs;
        return needs.weights + needs.host + residence_.largest_expert + scratch_bytes(n_tokens) + kv_bytes(n_tokens);
    }
    // The most tokens, up to `most`, for which `room` is enough.
    int64_t context_within(uint64_t room, int64_t most) const {
        int64_t enough = 0;
        while (enough < most) {
            const int64_t middle = enough + (most - enough + 1) / 2;
            if (least_bytes(middle) <= room)
                enough = middle;
            else
                most = middle - 1;
        }
        return enough;
    }

  private:
    Costs(const Placement& placement, const Residence& residence, PlacedProgram program)
        : placement_(placement), residence_(residence), program_(std::move(program)) {}

    const Placement& placement_;
    Residence residence_;
    PlacedProgram program_;
};

}  // namespace

Result<Plan> make_plan(const std::string& path, const ModelOptions& options, const SessionOptions& session) {
    auto file = read_model_outline(path);
    if (!file) return file.error();
    auto plan = make_plan(*file, options, session);
    if (!plan) return with_context(plan.error(), path);
    return plan;
}

Result<Plan> make_plan(const ModelFile& file, const ModelOptions& options, const SessionOptions& session) {
    const int32_t kv_type = usual_kv_type(options);
    auto graph = build_graph(file, {.kv_type = kv_type});
    if (!graph) return graph.error();
    const HyperParameters& h = graph->hyper_parameters;
    const auto text = read_text_side(file, h);
    if (!text) return text.error();
    const auto context = Session::choose_context(h, session), default_context = Session::choose_context(h, {});
    if (!context || !default_context) return !context ? context.error() : default_context.error();
    const auto placement = choose_placement(options, h, graph->program);
    if (!placement) return placement.error();
    const auto cost_under = [&](uint64_t allowed) {
        return Costs::of(file, **text, *placement, allowed, *default_context, kv_type, session.kv_type.value_or(kv_type));
    };
    const uint64_t allowed = options.memory_cap != 0 ? options.memory_cap : std::numeric_limits<uint64_t>::max();
    const auto costs = cost_under(allowed), least_costs = cost_under(0);
    if (!costs || !least_costs) return !costs ? costs.error() : least_costs.error();

    const ponder_program& program = costs->program().view();
    const Residence& residence = costs->residence();
    Plan plan;
    plan.context = *context;
    for (size_t i = 0; i < placement->devices().size(); i++) plan.shares.push_back(costs->share(i, plan.context));
    plan.weight_bytes = residence.needs.weights;
    plan.kv_bytes = costs->kv_bytes(plan.context);
    plan.kv_bytes_per_token = program.kv_page_bytes / static_cast<uint64_t>(program.kv_page_tokens);
    plan.scratch_bytes = costs->scratch_bytes(plan.context);
    plan.host_bytes = residence.needs.host;
    plan.decode_bytes = costs->program().decode_bytes();
    const uint64_t least = costs->least_bytes(plan.context);
    plan.fits = least <= allowed;
    plan.least_bytes = least_costs->least_bytes(plan.context);
    // Experts that are streamed take what nothing else needs.
    const uint64_t room = plan.fits ? allowed - least : 0;
    if (residence.is_streaming()) plan.expert_bytes = std::min(residence.streamed, residence.largest_expert + room);
    plan.max_context = options.memory_cap == 0 ? h.context_length : costs->context_within(allowed, h.context_length);
    return plan;
}

}  // namespace ponder
