// SPDX-License-Identifier: Apache-2.0
// Owning C++ handles over the backend interface: an open device, its buffers and its compiled plans.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "device/registry.hpp"

namespace ponder {

class Device;

// Frees itself; must not outlive its device.
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Device& device, ponder_buffer* handle) : device_(&device), handle_(handle) {}
    Buffer(Buffer&& other) noexcept : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Buffer();

    ponder_buffer* get() const { return handle_; }

  private:
    const Device* device_ = nullptr;
    ponder_buffer* handle_ = nullptr;
};

class CompiledPlan {
  public:
    CompiledPlan() = default;
    CompiledPlan(const Device& device, ponder_compiled* handle) : device_(&device), handle_(handle) {}
    CompiledPlan(CompiledPlan&& other) noexcept : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)) {}
    CompiledPlan& operator=(CompiledPlan&& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~CompiledPlan();

    Result<void> run(const ponder_run& run) const;

  private:
    const Device* device_ = nullptr;
    ponder_compiled* handle_ = nullptr;
};

class Device {
  public:
    // n_threads: for CPU devices; 0: all that the process may use. cache: what read_cache gave an earlier process, for this device or
    // several, one after the other; what does not belong to this device is ignored. Errors: DEVICE, NOT_FOUND, OUT_OF_MEMORY.
    static Result<std::unique_ptr<Device>> open(const DeviceSlot& slot, int32_t n_threads, std::span<const std::byte> cache = {});
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const DeviceSlot& slot() const { return slot_; }
    const ponder_backend& backend() const { return *slot_.backend; }
    ponder_device_handle* handle() const { return handle_; }
    int32_t n_threads() const { return backend().device_threads(handle_); }
    ponder_device_info describe() const;

    Result<Buffer> allocate(uint64_t n_bytes) const;
    // The host's bytes as a buffer: imported where the backend can, otherwise copied to the device.
    Result<Buffer> place(const void* data, uint64_t n_bytes) const;
    Result<void> write(const Buffer& dst, uint64_t offset, std::span<const std::byte> bytes) const;
    Result<void> copy(const Buffer& dst, uint64_t dst_offset, const Buffer& src, uint64_t src_offset, uint64_t n_bytes) const;

    // Errors: UNSUPPORTED, naming the first operator that the device does not take and why.
    Result<void> check_support(const ponder_program& program) const;
    // What the device compiled and which tests it passed, for the next process; empty if the backend keeps nothing. Any thread.
    Result<std::vector<std::byte>> read_cache() const;
    // Whether a self-test of this key was passed, by this process or the one that the cache is from.
    bool has_passed(uint64_t test) const;
    void set_passed(uint64_t test);

    Result<CompiledPlan> prepare(const ponder_program& program, int32_t max_rows, int32_t max_outputs) const;

  private:
    explicit Device(const DeviceSlot& slot) : slot_(slot) {}
    bool keeps_cache() const;
    uint64_t identity() const;
    void write_cache(std::span<const std::byte> cache);

    DeviceSlot slot_;
    ponder_device_handle* handle_ = nullptr;
    mutable std::mutex passed_mutex_;
    std::vector<uint64_t> passed_;
};

}  // namespace ponder
