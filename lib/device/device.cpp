// SPDX-License-Identifier: Apache-2.0
// Forwards to the backend's function table and turns its errors into Result.
#include "device/device.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/checksum.hpp"
#include "base/log.hpp"
#include "device/device_cache.hpp"
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

Result<std::unique_ptr<Device>> Device::open(const DeviceSlot& slot, int32_t n_threads, std::span<const std::byte> cache) {
    ponder_error error{};
    std::unique_ptr<Device> device(new Device(slot));  // first, so that nothing stands between an open handle and its owner
    const ponder_device_options options{sizeof(ponder_device_options), n_threads, slot.variant.empty() ? nullptr : slot.variant.c_str()};
    const ponder_status status = slot.backend->device_open(slot.local_index, &options, &device->handle_, &error);
    if (status != PONDER_STATUS_OK) return with_context({status, error.message}, slot.backend->name);
    if (!cache.empty() && device->keeps_cache()) device->write_cache(cache);
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

bool Device::keeps_cache() const {
    const ponder_backend& b = backend();
    return has_member(b, &ponder_backend::device_identity) && has_member(b, &ponder_backend::cache_write) &&
           has_member(b, &ponder_backend::cache_read);
}

uint64_t Device::identity() const {
    Checksum sum;
    const uint64_t own = backend().device_identity(handle_);
    for (const char* part : {backend().name, slot_.variant.c_str()}) sum.update(std::as_bytes(std::span(part, std::strlen(part) + 1)));
    const uint32_t version = PONDER_VERSION_MAJOR * 10000 + PONDER_VERSION_MINOR * 100 + PONDER_VERSION_PATCH;
    sum.update(std::as_bytes(std::span(&version, 1)));
    sum.update(std::as_bytes(std::span(&own, 1)));
    return sum.value();
}

void Device::write_cache(std::span<const std::byte> bytes) {
    Result<DeviceCache> cache = make_error(PONDER_STATUS_FORMAT, "it is empty");
    for (const auto own : split_device_caches(bytes)) {
        cache = parse_device_cache(own, identity());
        if (cache) break;
    }
    if (!cache) {
        log_message(PONDER_LOG_WARNING, "the device cache is ignored: %s", cache.error().message.c_str());
        return;
    }
    ponder_error error{};
    if (backend().cache_write(handle_, cache->data.data(), cache->data.size(), &error) != PONDER_STATUS_OK) {
        log_message(PONDER_LOG_WARNING, "the device cache is ignored: %s", error.message);
        return;
    }
    passed_ = cache->passed;
}

Result<std::vector<std::byte>> Device::read_cache() const {
    if (!keeps_cache()) return std::vector<std::byte>();
    ponder_error error{};
    std::vector<std::byte> data;
    uint64_t n_bytes = 0;
    ponder_status status = backend().cache_read(handle_, nullptr, 0, &n_bytes, &error);
    // It may grow between two calls.
    for (int tries = 0; status == PONDER_STATUS_BUFFER_TOO_SMALL && tries < 4; tries++) {
        data.resize(n_bytes);
        status = backend().cache_read(handle_, data.data(), data.size(), &n_bytes, &error);
    }
    if (status != PONDER_STATUS_OK) return Error{status, error.message};
    data.resize(n_bytes);
    const std::lock_guard lock(passed_mutex_);
    return write_device_cache(identity(), passed_, data);
}

bool Device::has_passed(uint64_t test) const {
    const std::lock_guard lock(passed_mutex_);
    return std::find(passed_.begin(), passed_.end(), test) != passed_.end();
}

void Device::set_passed(uint64_t test) {
    const std::lock_guard lock(passed_mutex_);
    if (std::find(passed_.begin(), passed_.end(), test) == passed_.end()) passed_.push_back(test);
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
