// SPDX-License-Identifier: Apache-2.0
// Forwards to the backend's function table and turns its errors into Result.
#include "device/device.hpp"

#include "op/op_check.hpp"

namespace ponder {

namespace {

Result<void> to_result(ponder_status status, const ponder_error& error) {
    if (status == PONDER_STATUS_OK) return {};
    return Error{status, error.message};
}

}  // namespace

Buffer::~Buffer() {
    if (handle_ != nullptr) device_->backend().buffer_free(device_->handle(), handle_);
}

CompiledPlan::~CompiledPlan() {
    if (handle_ != nullptr) device_->backend().release(device_->handle(), handle_);
}

Result<void> CompiledPlan::run(const ponder_run& run) const {
    ponder_error error{};
    const ponder_backend& backend = device_->backend();
    ponder_status status = backend.run(handle_, &run, &error);
    if (status == PONDER_STATUS_OK && backend.wait != nullptr) status = backend.wait(handle_, &error);
    return to_result(status, error);
}

Result<std::unique_ptr<Device>> Device::open(const DeviceSlot& slot, int32_t n_threads) {
    ponder_error error{};
    std::unique_ptr<Device> device(new Device(slot));  // first, so that nothing stands between an open handle and its owner
    const ponder_device_options options{sizeof(ponder_device_options), n_threads, slot.variant.empty() ? nullptr : slot.variant.c_str()};
    const ponder_status status = slot.backend->device_open(slot.local_index, &options, &device->handle_, &error);
    if (status != PONDER_STATUS_OK) return with_context({status, error.message}, slot.backend->name);
    return device;
}

Device::~Device() {
    if (handle_ != nullptr) backend().device_close(handle_);
}

ponder_device_info Device::describe() const {
    ponder_device_info info = PONDER_DEVICE_INFO_INIT;
    backend().device_describe(slot_.local_index, &info, nullptr);
    info.index = slot_.global_index;
    if (!slot_.variant.empty()) info.description = slot_.variant.c_str();
    return info;
}

Result<Buffer> Device::allocate(uint64_t n_bytes) const {
    ponder_error error{};
    ponder_buffer* handle = nullptr;
    const ponder_status status = backend().buffer_alloc(handle_, n_bytes, &handle, &error);
    if (status != PONDER_STATUS_OK) return Error{status, error.message};
    return Buffer(*this, handle);
}

Result<Buffer> Device::place(const void* data, uint64_t n_bytes) const {
    ponder_error error{};
    ponder_buffer* handle = nullptr;
    if (backend().buffer_import != nullptr && backend().buffer_import(handle_, data, n_bytes, &handle, &error) == PONDER_STATUS_OK) {
        return Buffer(*this, handle);
    }
    auto buffer = allocate(n_bytes);
    if (!buffer) return buffer;
    const ponder_status status = backend().buffer_write(handle_, buffer->get(), 0, data, n_bytes, &error);
    if (status != PONDER_STATUS_OK) return Error{status, error.message};
    return buffer;
}

Result<void> Device::write(const Buffer& dst, uint64_t offset, std::span<const std::byte> bytes) const {
    ponder_error error{};
    return to_result(backend().buffer_write(handle_, dst.get(), offset, bytes.data(), bytes.size(), &error), error);
}

Result<void> Device::copy(const Buffer& dst, uint64_t dst_offset, const Buffer& src, uint64_t src_offset, uint64_t n_bytes) const {
    ponder_error error{};
    return to_result(backend().buffer_copy(handle_, dst.get(), dst_offset, src.get(), src_offset, n_bytes, &error), error);
}

Result<void> Device::check_support(const ponder_program& program) const {
    for (int32_t i = 0; i < program.n_ops; i++) {
        char reason[256] = "no reason given";
        if (backend().supports(handle_, &program, &program.ops[i], reason, sizeof reason) == 0) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "backend %s does not take operator %s of layer %d: %s", backend().name,
                              op_name(program.ops[i].kind), program.ops[i].layer, reason);
        }
    }
    return {};
}

Result<CompiledPlan> Device::prepare(const ponder_program& program, int32_t max_rows, int32_t max_outputs) const {
    ponder_error error{};
    ponder_compiled* handle = nullptr;
    const ponder_status status = backend().prepare(handle_, &program, max_rows, max_outputs, &handle, &error);
    if (status != PONDER_STATUS_OK) return Error{status, error.message};
    return CompiledPlan(*this, handle);
}

}  // namespace ponder
