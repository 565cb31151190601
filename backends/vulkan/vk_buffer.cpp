// SPDX-License-Identifier: Apache-2.0
// The interface's calls on buffers.
#include "vk_buffer.hpp"

#include <cstdio>
#include <cstring>
#include <new>

namespace ponder::vk {

namespace {

bool fits(const Buffer& buffer, uint64_t offset, uint64_t n_bytes) {
    return offset <= buffer.n_bytes && n_bytes <= buffer.n_bytes - offset;
}

ponder_status answer(ponder_error* err, const Result<void>& result) { return result ? PONDER_STATUS_OK : report(err, result.error()); }

}  // namespace

Buffer::~Buffer() {
    weights.clear();
    if (device != nullptr) device->memory().free(memory);
}

ponder_status report(ponder_error* err, ponder_status status, const char* message) {
    if (err != nullptr) {
        err->status = status;
        std::snprintf(err->message, sizeof err->message, "%s", message);
    }
    return status;
}

ponder_status report(ponder_error* err, const Error& error) { return report(err, error.status, error.message.c_str()); }

ponder_status buffer_alloc(ponder_device_handle* device, uint64_t n_bytes, ponder_buffer** out, ponder_error* err) try {
    *out = nullptr;
    auto buffer = std::make_unique<Buffer>();
    auto memory = own(device)->memory().allocate(n_bytes, MemoryKind::kDevice);
    if (!memory) return report(err, memory.error());
    buffer->device = own(device);
    buffer->memory = *memory;
    buffer->n_bytes = n_bytes;
    *out = reinterpret_cast<ponder_buffer*>(buffer.release());
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a buffer");
}

ponder_status buffer_import(ponder_device_handle* device, const void* data, uint64_t n_bytes, ponder_buffer** out, ponder_error* err) try {
    *out = nullptr;
    auto buffer = std::make_unique<Buffer>();
    buffer->device = own(device);
    buffer->host = static_cast<const std::byte*>(data);
    buffer->n_bytes = n_bytes;
    *out = reinterpret_cast<ponder_buffer*>(buffer.release());
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a buffer");
}

void buffer_free(ponder_device_handle*, ponder_buffer* buffer) { delete own(buffer); }

ponder_status buffer_write(ponder_device_handle* device, ponder_buffer* buffer, uint64_t offset, const void* src, uint64_t n_bytes,
                           ponder_error* err) try {
    Buffer& target = *own(buffer);
    if (target.host != nullptr || !fits(target, offset, n_bytes))
        return report(err, PONDER_STATUS_INVALID_ARGUMENT, "write past a buffer's end, or to one that is imported");
    if (target.has_shadow) {
        std::memcpy(target.shadow.data() + offset, src, n_bytes);
        return PONDER_STATUS_OK;
    }
    return answer(err, own(device)->write(target.memory, offset, src, n_bytes));
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory to write a buffer");
}

ponder_status buffer_read(ponder_device_handle* device, const ponder_buffer* buffer, uint64_t offset, void* dst, uint64_t n_bytes,
                          ponder_error* err) try {
    const Buffer& source = *own(buffer);
    if (!fits(source, offset, n_bytes)) return report(err, PONDER_STATUS_INVALID_ARGUMENT, "read past a buffer's end");
    const std::byte* host = source.has_shadow ? source.shadow.data() : source.host;
    if (host != nullptr) {
        std::memcpy(dst, host + offset, n_bytes);
        return PONDER_STATUS_OK;
    }
    return answer(err, own(device)->read(source.memory, offset, dst, n_bytes));
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory to read a buffer");
}

ponder_status buffer_copy(ponder_device_handle* device, ponder_buffer* dst, uint64_t dst_offset, const ponder_buffer* src,
                          uint64_t src_offset, uint64_t n_bytes, ponder_error* err) try {
    const Buffer& source = *own(src);
    Buffer& target = *own(dst);
    if (!fits(source, src_offset, n_bytes)) return report(err, PONDER_STATUS_INVALID_ARGUMENT, "copy past a buffer's end");
    if (source.host != nullptr || source.has_shadow) {
        const std::byte* host = source.has_shadow ? source.shadow.data() : source.host;
        return buffer_write(device, dst, dst_offset, host + src_offset, n_bytes, err);
    }
    if (target.host != nullptr || target.has_shadow || !fits(target, dst_offset, n_bytes))
        return report(err, PONDER_STATUS_INVALID_ARGUMENT, "copy past a buffer's end, or to one that is imported");
    return answer(err, own(device)->copy(target.memory, dst_offset, source.memory, src_offset, n_bytes));
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory to copy a buffer");
}

}  // namespace ponder::vk
