// SPDX-License-Identifier: Apache-2.0
// The reference backend's function table: Eigen and plain loops in float32; the oracle for every other backend, and the fallback.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>

#include <unistd.h>

#include "base/limits.hpp"
#include "quant/quant.hpp"
#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

ponder_status report(ponder_error* err, ponder_status status, const char* message) {
    if (err != nullptr) {
        err->status = status;
        std::snprintf(err->message, sizeof err->message, "%s", message);
    }
    return status;
}

ponder_status report(ponder_error* err, const Error& error) { return report(err, error.status, error.message.c_str()); }

int n_workers(int32_t n_threads) { return std::min(n_threads > 0 ? n_threads : available_cores(), limits::kMaxThreads); }

int32_t device_count() { return 1; }

ponder_status device_describe(int32_t index, ponder_device_info* out, ponder_error* err) {
    if (index != 0) return report(err, PONDER_STATUS_NOT_FOUND, "the reference backend has one device");
    out->backend = "reference";
    out->name = "host processor";
    out->description = "Eigen, float32, baseline instruction set";
    out->memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    out->is_usable = 1;
    out->n_threads = available_cores();
    return PONDER_STATUS_OK;
}

ponder_status device_open(int32_t index, const ponder_device_options* options, ponder_device_handle** out, ponder_error* err) try {
    *out = nullptr;
    if (index != 0) return report(err, PONDER_STATUS_NOT_FOUND, "the reference backend has one device");
    auto pool = ThreadPool::create(n_workers(options != nullptr ? options->n_threads : 0));
    if (!pool) return report(err, pool.error());
    *out = new ponder_device_handle{std::move(*pool)};
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a device");
}

void device_close(ponder_device_handle* device) { delete device; }

int32_t device_threads(const ponder_device_handle* device) { return device->pool->n_threads(); }

ponder_status buffer_alloc(ponder_device_handle*, uint64_t n_bytes, ponder_buffer** out, ponder_error* err) {
    *out = nullptr;
    std::unique_ptr<ponder_buffer> buffer(new (std::nothrow) ponder_buffer);
    if (buffer != nullptr && n_bytes <= std::numeric_limits<size_t>::max() / 2) buffer->owned.reset(new (std::nothrow) std::byte[n_bytes]);
    if (buffer == nullptr || buffer->owned == nullptr) {
        char message[96];
        std::snprintf(message, sizeof message, "no memory for a buffer of %llu bytes", static_cast<unsigned long long>(n_bytes));
        return report(err, PONDER_STATUS_OUT_OF_MEMORY, message);
    }
    buffer->data = buffer->owned.get();
    buffer->n_bytes = n_bytes;
    *out = buffer.release();
    return PONDER_STATUS_OK;
}

ponder_status buffer_import(ponder_device_handle*, const void* data, uint64_t n_bytes, ponder_buffer** out, ponder_error* err) {
    *out = new (std::nothrow) ponder_buffer{nullptr, static_cast<const std::byte*>(data), n_bytes};
    return *out != nullptr ? PONDER_STATUS_OK : report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a buffer");
}

void buffer_free(ponder_device_handle*, ponder_buffer* buffer) { delete buffer; }

bool fits(const ponder_buffer* buffer, uint64_t offset, uint64_t n_bytes) {
    return offset <= buffer->n_bytes && n_bytes <= buffer->n_bytes - offset;
}

ponder_status buffer_write(ponder_device_handle*, ponder_buffer* buffer, uint64_t offset, const void* src, uint64_t n_bytes,
                           ponder_error* err) {
    if (buffer->owned == nullptr || !fits(buffer, offset, n_bytes))
        return report(err, PONDER_STATUS_INVALID_ARGUMENT, "write past a buffer's end");
    std::memcpy(buffer->owned.get() + offset, src, n_bytes);
    return PONDER_STATUS_OK;
}

ponder_status buffer_read(ponder_device_handle*, const ponder_buffer* buffer, uint64_t offset, void* dst, uint64_t n_bytes,
                          ponder_error* err) {
    if (!fits(buffer, offset, n_bytes)) return report(err, PONDER_STATUS_INVALID_ARGUMENT, "read past a buffer's end");
    std::memcpy(dst, buffer->data + offset, n_bytes);
    return PONDER_STATUS_OK;
}

ponder_status buffer_copy(ponder_device_handle* device, ponder_buffer* dst, uint64_t dst_offset, const ponder_buffer* src,
                          uint64_t src_offset, uint64_t n_bytes, ponder_error* err) {
    if (!fits(src, src_offset, n_bytes)) return report(err, PONDER_STATUS_INVALID_ARGUMENT, "copy past a buffer's end");
    return buffer_write(device, dst, dst_offset, src->data + src_offset, n_bytes, err);
}

int32_t supports(const ponder_device_handle*, const ponder_program* program, const ponder_op* op, char* reason, size_t reason_size) {
    const char* why = nullptr;
    if (find_op(op->kind) == nullptr) why = "unknown operator kind";
    for (const int32_t id : op->src) {
        if (id < 0 || program->operands[id].role != PONDER_OPERAND_WEIGHT) continue;
        const QuantType* type = find_quant_type(program->operands[id].type);
        if (type == nullptr || type->decode == nullptr) why = "unknown weight type";
        if (program->operands[id].is_streamed != 0 && op->kind != PONDER_OP_MOE_FFN && op->kind != PONDER_OP_MOE_PREFETCH)
            why = "only experts can be streamed";
    }
    const QuantType* cache = find_quant_type(program->kv_type);
    if (cache == nullptr || cache->encode == nullptr) why = "unknown cache type";
    if (why != nullptr && reason != nullptr && reason_size > 0) std::snprintf(reason, reason_size, "%s", why);
    return why == nullptr;
}

uint64_t scratch_bytes(const ponder_program* program, int32_t max_rows, int32_t, int32_t n_threads, int64_t n_context) {
    const ScratchSizes sizes = measure_scratch(*program, max_rows);
    const uint64_t thread = sizes.panel + sizes.tile + sizes.row + sizes.latent + sizes.scores_per_token * static_cast<uint64_t>(n_context);
    return (program->scratch_floats * static_cast<uint64_t>(max_rows) + sizes.experts +
            thread * static_cast<uint64_t>(n_workers(n_threads))) *
           sizeof(float);
}

int64_t count_tokens(const ponder_program& program) {
    int64_t n = std::numeric_limits<int32_t>::max();
    for (int32_t i = 0; i < program.n_ops; i++) {
        if (program.ops[i].kind == PONDER_OP_EMBED) n = std::min(n, program.operands[program.ops[i].src[0]].dims[1]);
    }
    return n;
}

ponder_status prepare(ponder_device_handle* device, const ponder_program* program, int32_t max_rows, int32_t max_outputs,
                      ponder_compiled** out, ponder_error* err) try {
    *out = nullptr;
    auto plan = std::make_unique<ponder_compiled>();
    plan->device = device;
    plan->program = program;
    plan->max_rows = max_rows;
    plan->max_outputs = max_outputs;
    plan->n_tokens = count_tokens(*program);
    plan->has_streams = std::any_of(program->operands, program->operands + program->n_operands,
                                    [](const ponder_operand& operand) { return operand.is_streamed != 0; });
    plan->scratch.reset(new float[program->scratch_floats * static_cast<uint64_t>(max_rows)]);
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
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a plan's scratch");
}

void release(ponder_device_handle*, ponder_compiled* plan) { delete plan; }

// A batch comes from the library's own runtime; what would read out of bounds is refused all the same.
const char* find_fault(const ponder_compiled& plan, const ponder_run& batch) {
    if (batch.n_rows < 1 || batch.n_rows > plan.max_rows || batch.n_outputs < 0 || batch.n_outputs > plan.max_outputs)
        return "batch larger than the plan";
    for (int32_t r = 0; r < batch.n_rows; r++) {
        if (batch.tokens[r] < 0 || batch.tokens[r] >= plan.n_tokens) return "token outside of the vocabulary";
        if (batch.sequences[r] < 0 || batch.sequences[r] >= batch.n_sequences) return "row of an unknown sequence";
        const int64_t capacity = int64_t{batch.kv[batch.sequences[r]].n_pages} * plan.program->kv_page_tokens;
        if (batch.positions[r] < 0 || batch.positions[r] >= capacity) return "position outside of the cache";
    }
    if (batch.source == nullptr && plan.has_streams) return "a program with streamed weights needs their source";
    for (int32_t o = 0; o < batch.n_outputs; o++) {
        if (batch.output_rows[o] < 0 || batch.output_rows[o] >= batch.n_rows) return "output of an unknown row";
    }
    return nullptr;
}

ponder_status run_plan(ponder_compiled* plan, const ponder_run* batch, ponder_error* err) try {
    if (const char* fault = find_fault(*plan, *batch)) return report(err, PONDER_STATUS_INVALID_ARGUMENT, fault);
    ponder_error failure{};
    const Run run{*plan, *batch, &failure};
    for (int32_t i = 0; i < plan->program->n_ops && !run.should_stop(); i++) {
        const ponder_op& op = plan->program->ops[i];
        find_op(op.kind)(run, op);
    }
    if (failure.status != PONDER_STATUS_OK) return report(err, static_cast<ponder_status>(failure.status), failure.message);
    return run.should_stop() ? report(err, PONDER_STATUS_CANCELLED, "cancelled") : PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for an operator's scratch");
}

constexpr ponder_backend kBackend = {
    .struct_size = sizeof(ponder_backend),
    .api_version = PONDER_BACKEND_API_VERSION,
    .name = "reference",
    .device_count = device_count,
    .device_describe = device_describe,
    .device_open = device_open,
    .device_close = device_close,
    .device_threads = device_threads,
    .buffer_alloc = buffer_alloc,
    .buffer_free = buffer_free,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .buffer_copy = buffer_copy,
    .buffer_import = buffer_import,
    .supports = supports,
    .scratch_bytes = scratch_bytes,
    .prepare = prepare,
    .release = release,
    .run = run_plan,
    .wait = nullptr,
};

}  // namespace

}  // namespace ponder::ref

extern "C" const ponder_backend* ponder_reference_backend(void) { return &ponder::ref::kBackend; }
