// SPDX-License-Identifier: Apache-2.0
// Buffers: device memory, or host memory whose weights are uploaded one by one when a plan asks for them. So a weight lies as shaders want
// it, whatever its place in a file, and what no operator reads takes no device memory.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "ponder/ponder_backend.h"
#include "vk_device.hpp"
#include "vk_repack.hpp"

namespace ponder::vk {

// A weight on the device: `n_slices` matrices [slice_rows, n_cols], one after the other in each plane.
struct DeviceWeight {
    DeviceWeight(Device& own) : device(own) {}
    ~DeviceWeight() { device.memory().free(memory); }
    DeviceWeight(const DeviceWeight&) = delete;
    DeviceWeight& operator=(const DeviceWeight&) = delete;

    Device& device;
    Allocation memory;
    std::string shader;
    uint32_t planes[kMaxPlanes] = {};  // where they begin, in units of 16 bytes
    uint32_t n_cols = 0, units = 0, slice_rows = 0, n_slices = 0;
};

struct Buffer {
    ~Buffer();

    Device* device = nullptr;
    const std::byte* host = nullptr;  // imported; otherwise null
    uint64_t n_bytes = 0;
    Allocation memory;
    // A table of which the host reads rows, though the buffer is the device's: what was written last, from 0 on.
    std::vector<std::byte> shadow;
    bool has_shadow = false;

    // By the first slice's address, type, columns, rows and whether it is turned.
    using WeightKey = std::tuple<const void*, int32_t, int64_t, int64_t, bool>;
    std::mutex mutex;
    std::map<WeightKey, std::unique_ptr<DeviceWeight>> weights;
};

// The interface's handles are this backend's own types behind their names.
inline Buffer* own(ponder_buffer* buffer) { return reinterpret_cast<Buffer*>(buffer); }
inline const Buffer* own(const ponder_buffer* buffer) { return reinterpret_cast<const Buffer*>(buffer); }
inline Device* own(ponder_device_handle* device) { return reinterpret_cast<Device*>(device); }
inline const Device* own(const ponder_device_handle* device) { return reinterpret_cast<const Device*>(device); }

// Slices of rows [slice_rows, n_cols] of a type to the device; factors: F8_E4M3's, one block of them a slice, or null.
Result<std::unique_ptr<DeviceWeight>> upload(Device& device, const QuantType& type, int64_t n_cols, int64_t slice_rows,
                                             const std::vector<const std::byte*>& slices, const std::vector<const std::byte*>& factors);

// The weight of an operand on the device, uploaded at the first call and kept by its buffer; owned by `kept` where the buffer cannot.
Result<const DeviceWeight*> place_weight(Device& device, const ponder_program& program, int32_t operand,
                                         std::vector<std::unique_ptr<DeviceWeight>>& kept);
// The maps of the latent to a head's keys out of the combined matrix of latent attention, turned: slices [n_latent, n_nope], as float32.
Result<const DeviceWeight*> place_turned_keys(Device& device, const ponder_program& program, int32_t operand,
                                              const ponder_mla_attention_params& params, std::vector<std::unique_ptr<DeviceWeight>>& kept);

// Bytes of a weight on the device.
uint64_t device_bytes(const QuantType& type, int64_t n_cols, int64_t n_rows);

ponder_status report(ponder_error* err, const Error& error);
ponder_status report(ponder_error* err, ponder_status status, const char* message);

ponder_status buffer_alloc(ponder_device_handle* device, uint64_t n_bytes, ponder_buffer** out, ponder_error* err);
ponder_status buffer_import(ponder_device_handle* device, const void* data, uint64_t n_bytes, ponder_buffer** out, ponder_error* err);
void buffer_free(ponder_device_handle* device, ponder_buffer* buffer);
ponder_status buffer_write(ponder_device_handle* device, ponder_buffer* buffer, uint64_t offset, const void* src, uint64_t n_bytes,
                           ponder_error* err);
ponder_status buffer_read(ponder_device_handle* device, const ponder_buffer* buffer, uint64_t offset, void* dst, uint64_t n_bytes,
                          ponder_error* err);
ponder_status buffer_copy(ponder_device_handle* device, ponder_buffer* dst, uint64_t dst_offset, const ponder_buffer* src,
                          uint64_t src_offset, uint64_t n_bytes, ponder_error* err);

}  // namespace ponder::vk
