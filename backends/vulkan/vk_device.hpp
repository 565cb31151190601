// SPDX-License-Identifier: Apache-2.0
// An open device: its queue, memory, pipelines, and the ring through which bytes reach memory that the host does not see.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/thread_pool.hpp"
#include "vk_memory.hpp"
#include "vk_pipelines.hpp"

namespace ponder::vk {

struct DeviceOptions {
    int32_t n_threads = 0;      // for what the host does: unpacking weights
    bool is_validated = false;  // with the validation layer
    bool is_plain = false;      // float32 only: no variants of the shaders that need more than the base
};

class Device {
  public:
    static Result<std::unique_ptr<Device>> open(int32_t index, const DeviceOptions& options);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const DeviceFunctions& fn() const { return fn_; }
    VkDevice handle() const { return device_; }
    const DeviceTraits& traits() const { return traits_; }
    bool is_plain() const { return options_.is_plain; }
    Memory& memory() { return *memory_; }
    Pipelines& pipelines() { return *pipelines_; }
    ThreadPool& pool() { return *pool_; }
    VkCommandPool command_pool() const { return command_pool_; }
    uint64_t tables_address() const { return tables_.address; }
    int32_t n_validation_messages() const { return instance_->n_messages(); }

    // Submits one command buffer and waits for it. `should_stop` is polled meanwhile, but what is submitted runs to its end.
    Result<void> submit_and_wait(VkCommandBuffer commands, VkFence fence);
    Result<VkFence> make_fence();

    // Any thread; they return when the bytes are there.
    Result<void> write(const Allocation& dst, uint64_t offset, const void* src, uint64_t n_bytes);
    Result<void> read(const Allocation& src, uint64_t offset, void* dst, uint64_t n_bytes);
    Result<void> copy(const Allocation& dst, uint64_t dst_offset, const Allocation& src, uint64_t src_offset, uint64_t n_bytes);

  private:
    Device() = default;
    Result<void> start(int32_t index);
    struct Transfer {
        VkCommandBuffer commands = VK_NULL_HANDLE;
        VkFence fence = VK_NULL_HANDLE;
    };
    // One of the two parts of the ring.
    struct Stage {
        Transfer transfer;
        Allocation memory;
        bool is_pending = false;  // the device reads it
    };
    Result<void> submit(VkCommandBuffer commands, VkFence fence);
    Result<void> wait(VkFence fence);
    Result<void> begin_copy(const Transfer& transfer, VkBuffer dst, VkBuffer src, const VkBufferCopy& region);
    Result<void> copy_now(VkBuffer dst, VkBuffer src, const VkBufferCopy& region);
    Result<void> fill_stages(const Allocation& dst, uint64_t offset, const std::byte* src, uint64_t n_bytes);
    Result<void> finish(Stage& stage);

    DeviceOptions options_;
    DeviceTraits traits_;
    std::unique_ptr<Instance> instance_;
    VkDevice device_ = VK_NULL_HANDLE;
    DeviceFunctions fn_;
    VkQueue queue_ = VK_NULL_HANDLE;
    std::mutex queue_mutex_;
    std::unique_ptr<Memory> memory_;
    std::unique_ptr<Pipelines> pipelines_;
    std::unique_ptr<ThreadPool> pool_;
    VkCommandPool command_pool_ = VK_NULL_HANDLE;  // of plans; used by one thread at a time
    std::mutex transfer_mutex_;                    // guards what follows
    VkCommandPool transfer_pool_ = VK_NULL_HANDLE;
    Transfer transfer_;
    Stage stages_[2];
    Allocation readback_;
    Allocation tables_;  // the constant tables that some types index
};

}  // namespace ponder::vk
