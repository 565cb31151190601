// SPDX-License-Identifier: Apache-2.0
// The CPU backend's function table.
#include <cstdio>
#include <memory>
#include <new>

#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

ponder_status device_describe(int32_t index, ponder_device_info* out, ponder_error* err) {
    if (index != 0) return host::report(err, PONDER_STATUS_NOT_FOUND, "the cpu backend has one device");
    out->backend = "cpu";
    out->description = find_kernels(nullptr)->name;
    host::describe_processor(out);
    return PONDER_STATUS_OK;
}

ponder_status device_open(int32_t index, const ponder_device_options* options, ponder_device_handle** out, ponder_error* err) try {
    *out = nullptr;
    if (index != 0) return host::report(err, PONDER_STATUS_NOT_FOUND, "the cpu backend has one device");
    auto device = std::make_unique<Device>();
    const char* variant = host::variant_of(options);
    device->kernels = find_kernels(variant);
    if (device->kernels == nullptr) {
        char message[128];
        std::snprintf(message, sizeof message, "the cpu backend has no instruction set '%.32s' on this processor", variant);
        return host::report(err, PONDER_STATUS_NOT_FOUND, message);
    }
    const ponder_status status = host::open_pool(*device, options, err);
    if (status == PONDER_STATUS_OK) *out = device.release();
    return status;
} catch (const std::bad_alloc&) {
    return host::report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a device");
}

int32_t supports(const ponder_device_handle*, const ponder_program* program, const ponder_op* op, char* reason, size_t reason_size) {
    const char* why = knows_op(op->kind) ? host::find_unreadable(*program, *op) : "unknown operator kind";
    return host::answer_support(why, reason, reason_size);
}

uint64_t scratch_bytes(const ponder_program* program, int32_t max_rows, int32_t, int32_t n_threads, int64_t) {
    const Sizes sizes = measure(*program, max_rows);
    return program->scratch_floats * static_cast<uint64_t>(max_rows) * sizeof(float) + sizes.plan_bytes() +
           sizes.thread_bytes() * static_cast<uint64_t>(host::n_workers(n_threads));
}

ponder_status prepare(ponder_device_handle* device, const ponder_program* program, int32_t max_rows, int32_t max_outputs,
                      ponder_compiled** out, ponder_error* err) try {
    *out = nullptr;
    auto plan = std::make_unique<Plan>();
    host::set_up(*plan, device, *program, max_rows, max_outputs);
    plan->kernels = static_cast<Device*>(device)->kernels;
    plan->steps = make_steps(*program);
    const Sizes sizes = measure(*program, max_rows);
    plan->rounded.resize(sizes.rounded);
    plan->gathered.resize(sizes.gathered);
    plan->experts.resize(sizes.experts);
    plan->spans.resize(sizes.spans);
    plan->latents.resize(sizes.latents);
    plan->threads.resize(static_cast<size_t>(device->pool->n_threads()));
    for (ThreadScratch& scratch : plan->threads) {
        scratch.decoded.resize(sizes.decoded);
        scratch.keys.resize(sizes.keys);
        scratch.values.resize(sizes.values);
        scratch.transposed.resize(sizes.transposed);
        scratch.queries.resize(sizes.queries);
        scratch.scores.resize(sizes.scores);
        scratch.state.resize(sizes.state);
        scratch.sums_of_heads.resize(sizes.sums_of_heads);
        scratch.maps.resize(sizes.maps);
        scratch.expanded.resize(sizes.expanded);
        scratch.latent.resize(sizes.latent);
        scratch.panel.resize(sizes.panel);
        scratch.sums.resize(sizes.sums);
        scratch.gated.resize(sizes.gated);
        scratch.split.resize(sizes.split);
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
        for (const Step& step : run.plan.steps) {
            const auto op = static_cast<int32_t>(step.ops.data() - run.program.ops);
            if (op < part.begin || op >= part.end) continue;
            if (run.should_stop()) return;
            run.lists.release();
            step.run(run, step.ops);
        }
    });
}

// Weights are expanded once a run, and a run of many rows reads most of a layer's experts however many it has.
int32_t rows_of_run(int32_t, const ponder_device_options* options) {
    const Kernels* kernels = find_kernels(host::variant_of(options));
    return kernels != nullptr && kernels->find_dot(PONDER_TYPE_Q8_0)->multiply != nullptr ? 512 : 128;
}

constexpr ponder_backend kBackend = [] {
    ponder_backend table = host::common_table("cpu");
    table.device_describe = device_describe;
    table.device_open = device_open;
    table.supports = supports;
    table.scratch_bytes = scratch_bytes;
    table.prepare = prepare;
    table.run = run_plan;
    table.rows_of_run = rows_of_run;
    return table;
}();

}  // namespace

}  // namespace ponder::cpu

extern "C" const ponder_backend* ponder_cpu_backend(void) { return &ponder::cpu::kBackend; }
