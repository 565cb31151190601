// SPDX-License-Identifier: Apache-2.0
// The reference backend's function table: Eigen and plain loops in float32; the oracle for every other backend, and the fallback.
#include <new>

#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

ponder_status device_describe(int32_t index, ponder_device_info* out, ponder_error* err) {
    if (index != 0) return host::report(err, PONDER_STATUS_NOT_FOUND, "the reference backend has one device");
    out->backend = "reference";
    out->description = "Eigen, float32, baseline instruction set";
    host::describe_processor(out);
    return PONDER_STATUS_OK;
}

ponder_status device_open(int32_t index, const ponder_device_options* options, ponder_device_handle** out, ponder_error* err) try {
    *out = nullptr;
    if (index != 0) return host::report(err, PONDER_STATUS_NOT_FOUND, "the reference backend has one device");
    if (host::variant_of(options) != nullptr) return host::report(err, PONDER_STATUS_NOT_FOUND, "the reference backend has no variants");
    auto device = std::make_unique<ponder_device_handle>();
    const ponder_status status = host::open_pool(*device, options, err);
    if (status == PONDER_STATUS_OK) *out = device.release();
    return status;
} catch (const std::bad_alloc&) {
    return host::report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a device");
}

int32_t supports(const ponder_device_handle*, const ponder_program* program, const ponder_op* op, char* reason, size_t reason_size) {
    const char* why = find_op(op->kind) == nullptr ? "unknown operator kind" : host::find_unreadable(*program, *op);
    return host::answer_support(why, reason, reason_size);
}

uint64_t scratch_bytes(const ponder_program* program, int32_t max_rows, int32_t, int32_t n_threads, int64_t n_context) {
    const ScratchSizes sizes = measure_scratch(*program, max_rows);
    const uint64_t thread = sizes.panel + sizes.tile + sizes.row + sizes.latent + sizes.scores_per_token * static_cast<uint64_t>(n_context);
    return (program->scratch_floats * static_cast<uint64_t>(max_rows) + sizes.experts +
            thread * static_cast<uint64_t>(host::n_workers(n_threads))) *
           sizeof(float);
}

ponder_status prepare(ponder_device_handle* device, const ponder_program* program, int32_t max_rows, int32_t max_outputs,
                      ponder_compiled** out, ponder_error* err) try {
    *out = nullptr;
    auto plan = std::make_unique<Plan>();
    host::set_up(*plan, device, *program, max_rows, max_outputs);
    const ScratchSizes sizes = measure_scratch(*program, max_rows);
    plan->experts.resize(sizes.experts);
    plan->threads.resize(static_cast<size_t>(device->pool->n_threads()));
    for (ThreadScratch& scratch : plan->threads) {
        scratch.panel.resize(sizes.panel);
        scratch.tile.resize(sizes.tile);
        scratch.row.resize(sizes.row);
        scratch.latent.resize(sizes.latent);
    }
    *out = plan.release();
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return host::report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a plan's scratch");
}

ponder_status run_plan(ponder_compiled* plan, const ponder_run* batch, ponder_error* err) {
    return host::run_checked(plan, batch, err, [](ponder_compiled& own, const ponder_run& rows, ponder_error& failure) {
        const Run run(static_cast<Plan&>(own), rows, &failure);
        const host::RunPart part = host::part_of(run.program, rows);
        for (int32_t i = part.begin; i < part.end && !run.should_stop(); i++) {
            run.lists.release();
            find_op(run.program.ops[i].kind)(run, run.program.ops[i]);
        }
    });
}

constexpr ponder_backend kBackend = [] {
    ponder_backend table = host::common_table("reference");
    table.device_describe = device_describe;
    table.device_open = device_open;
    table.supports = supports;
    table.scratch_bytes = scratch_bytes;
    table.prepare = prepare;
    table.run = run_plan;
    return table;
}();

}  // namespace

}  // namespace ponder::ref

extern "C" const ponder_backend* ponder_reference_backend(void) { return &ponder::ref::kBackend; }
