// SPDX-License-Identifier: Apache-2.0
// Thread pools as devices, host memory as buffers.
#include "host_backend.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>

#include "base/limits.hpp"
#include "quant/quant.hpp"

namespace ponder::host {

namespace {

bool fits(const ponder_buffer* buffer, uint64_t offset, uint64_t n_bytes) {
    return offset <= buffer->n_bytes && n_bytes <= buffer->n_bytes - offset;
}

}  // namespace

ponder_status report(ponder_error* err, ponder_status status, const char* message) {
    if (err != nullptr) {
        err->status = status;
        std::snprintf(err->message, sizeof err->message, "%s", message);
    }
    return status;
}

ponder_status report(ponder_error* err, const Error& error) { return report(err, error.status, error.message.c_str()); }

int n_workers(int32_t n_threads) { return std::min(n_threads > 0 ? n_threads : available_cores(), limits::kMaxThreads); }

void describe_processor(ponder_device_info* out) {
    out->name = "host processor";
    out->memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    out->is_usable = 1;
    out->n_threads = available_cores();
}

const char* variant_of(const ponder_device_options* options) {
    const bool has_variant = options != nullptr && options->struct_size >= sizeof(ponder_device_options) && options->variant != nullptr;
    return has_variant && *options->variant != '\0' ? options->variant : nullptr;
}

ponder_status open_pool(ponder_device_handle& device, const ponder_device_options* options, ponder_error* err) {
    auto pool = ThreadPool::create(n_workers(options != nullptr ? options->n_threads : 0));
    if (!pool) return report(err, pool.error());
    device.pool = std::move(*pool);
    return PONDER_STATUS_OK;
}

void device_close(ponder_device_handle* device) { delete device; }

int32_t device_threads(const ponder_device_handle* device) { return device->pool->n_threads(); }

ponder_status buffer_alloc(ponder_device_handle*, uint64_t n_bytes, ponder_buffer** out, ponder_error* err) {
    *out = nullptr;
    std::unique_ptr<ponder_buffer> buffer(new (std::nothrow) ponder_buffer);
    if (buffer != nullptr && n_bytes <= std::numeric_limits<size_t>::max() / 2) buffer->owned = MemoryBlock(static_cast<size_t>(n_bytes));
    if (buffer == nullptr || buffer->owned.bytes().size() < n_bytes) {
        char message[96];
        std::snprintf(message, sizeof message, "no memory for a buffer of %llu bytes", static_cast<unsigned long long>(n_bytes));
        return report(err, PONDER_STATUS_OUT_OF_MEMORY, message);
    }
    buffer->data = buffer->owned.bytes().data();
    buffer->n_bytes = n_bytes;
    *out = buffer.release();
    return PONDER_STATUS_OK;
}

ponder_status buffer_import(ponder_device_handle*, const void* data, uint64_t n_bytes, ponder_buffer** out, ponder_error* err) {
    *out = new (std::nothrow) ponder_buffer{{}, static_cast<const std::byte*>(data), n_bytes};
    return *out != nullptr ? PONDER_STATUS_OK : report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a buffer");
}

void buffer_free(ponder_device_handle*, ponder_buffer* buffer) { delete buffer; }

ponder_status buffer_write(ponder_device_handle*, ponder_buffer* buffer, uint64_t offset, const void* src, uint64_t n_bytes,
                           ponder_error* err) {
    if (buffer->owned.bytes().empty() || !fits(buffer, offset, n_bytes))
        return report(err, PONDER_STATUS_INVALID_ARGUMENT, "write past a buffer's end");
    std::memcpy(buffer->owned.bytes().data() + offset, src, n_bytes);
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

const char* find_unreadable(const ponder_program& program, const ponder_op& op) {
    for (const int32_t id : op.src) {
        if (id < 0 || program.operands[id].role != PONDER_OPERAND_WEIGHT) continue;
        const QuantType* type = find_quant_type(program.operands[id].type);
        if (type == nullptr || type->decode == nullptr) return "unknown weight type";
        if (program.operands[id].is_streamed != 0 && op.kind != PONDER_OP_MOE_FFN && op.kind != PONDER_OP_MOE_PREFETCH)
            return "only experts can be streamed";
    }
    const QuantType* cache = find_quant_type(program.kv_type);
    return cache == nullptr || cache->encode == nullptr ? "unknown cache type" : nullptr;
}

void set_up(ponder_compiled& plan, ponder_device_handle* device, const ponder_program& program, int32_t max_rows, int32_t max_outputs) {
    plan.device = device;
    plan.program = &program;
    plan.max_rows = max_rows;
    plan.check = RunCheck(program, max_rows, max_outputs);
    plan.scratch.reset(new float[program.scratch_floats * static_cast<uint64_t>(max_rows)]);
}

void release(ponder_device_handle*, ponder_compiled* plan) { delete plan; }

int32_t answer_support(const char* why, char* reason, size_t reason_size) {
    if (why != nullptr && reason != nullptr && reason_size > 0) std::snprintf(reason, reason_size, "%s", why);
    return why == nullptr;
}

ponder_status run_checked(ponder_compiled* plan, const ponder_run* batch, ponder_error* err,
                          void (*steps)(ponder_compiled& plan, const ponder_run& batch, ponder_error& failure)) try {
    if (const char* fault = plan->check.find_fault(*batch)) return report(err, PONDER_STATUS_INVALID_ARGUMENT, fault);
    ponder_error failure{};
    steps(*plan, *batch, failure);
    if (failure.status != PONDER_STATUS_OK) return report(err, static_cast<ponder_status>(failure.status), failure.message);
    const bool is_cancelled = batch->should_stop != nullptr && batch->should_stop(batch->user_data) != 0;
    return is_cancelled ? report(err, PONDER_STATUS_CANCELLED, "cancelled") : PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for an operator's scratch");
}

}  // namespace ponder::host
