// SPDX-License-Identifier: Apache-2.0
// What backends share that compute in host memory: devices that are thread pools, buffers, plans, and the checks before a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>

#include "base/host_memory.hpp"
#include "base/result.hpp"
#include "base/thread_pool.hpp"
#include "ponder/ponder_backend.h"
#include "run_check.hpp"

// Backends derive from the first and the last; their names are the interface's, so they may have no second definition.
struct ponder_device_handle {
    virtual ~ponder_device_handle() = default;
    std::unique_ptr<ponder::ThreadPool> pool;
};

struct ponder_buffer {
    ponder::MemoryBlock owned;  // empty if the memory is imported
    const std::byte* data = nullptr;
    uint64_t n_bytes = 0;
};

struct ponder_compiled {
    virtual ~ponder_compiled() = default;
    ponder_device_handle* device = nullptr;
    const ponder_program* program = nullptr;
    int32_t max_rows = 0;
    ponder::host::RunCheck check;
    std::unique_ptr<float[]> scratch;  // [scratch_floats * max_rows]: the operands
    // What operators list as they run; the lists of a prompt's rows may need more, and get it from the heap.
    alignas(std::max_align_t) std::byte list_memory[32 * 1024];
    std::pmr::monotonic_buffer_resource lists{list_memory, sizeof list_memory};
};

namespace ponder::host {

ponder_status report(ponder_error* err, ponder_status status, const char* message);
ponder_status report(ponder_error* err, const Error& error);

// Workers for a request of n_threads; 0: all that the process may use.
int n_workers(int32_t n_threads);
void describe_processor(ponder_device_info* out);
// ponder_device_options.variant; null if none is asked for.
const char* variant_of(const ponder_device_options* options);
ponder_status open_pool(ponder_device_handle& device, const ponder_device_options* options, ponder_error* err);
int32_t device_threads(const ponder_device_handle* device);
void device_close(ponder_device_handle* device);

ponder_status buffer_alloc(ponder_device_handle*, uint64_t n_bytes, ponder_buffer** out, ponder_error* err);
ponder_status buffer_import(ponder_device_handle*, const void* data, uint64_t n_bytes, ponder_buffer** out, ponder_error* err);
void buffer_free(ponder_device_handle*, ponder_buffer* buffer);
ponder_status buffer_write(ponder_device_handle*, ponder_buffer* buffer, uint64_t offset, const void* src, uint64_t n_bytes,
                           ponder_error* err);
ponder_status buffer_read(ponder_device_handle*, const ponder_buffer* buffer, uint64_t offset, void* dst, uint64_t n_bytes,
                          ponder_error* err);
ponder_status buffer_copy(ponder_device_handle* device, ponder_buffer* dst, uint64_t dst_offset, const ponder_buffer* src,
                          uint64_t src_offset, uint64_t n_bytes, ponder_error* err);

// Why weights or cache of an operator cannot be read here; null if they can.
const char* find_unreadable(const ponder_program& program, const ponder_op& op);
// Fills the common part of a plan. Throws std::bad_alloc.
void set_up(ponder_compiled& plan, ponder_device_handle* device, const ponder_program& program, int32_t max_rows, int32_t max_outputs);
void release(ponder_device_handle*, ponder_compiled* plan);
// The answer of `supports`: 1 if why is null; otherwise 0, and why goes to `reason`, which may be null.
int32_t answer_support(const char* why, char* reason, size_t reason_size);
// Runs steps(plan, batch, failure) on a batch that was checked first; `failure` has no status until a step sets one.
ponder_status run_checked(ponder_compiled* plan, const ponder_run* batch, ponder_error* err,
                          void (*steps)(ponder_compiled& plan, const ponder_run& batch, ponder_error& failure));

// A function table with what is the same for all; a backend fills in the rest.
constexpr ponder_backend common_table(const char* name) {
    return {
        .struct_size = sizeof(ponder_backend),
        .api_version = PONDER_BACKEND_API_VERSION,
        .name = name,
        .device_count = [] { return int32_t{1}; },
        .device_close = device_close,
        .device_threads = device_threads,
        .buffer_alloc = buffer_alloc,
        .buffer_free = buffer_free,
        .buffer_write = buffer_write,
        .buffer_read = buffer_read,
        .buffer_copy = buffer_copy,
        .buffer_import = buffer_import,
        .release = release,
    };
}

}  // namespace ponder::host
