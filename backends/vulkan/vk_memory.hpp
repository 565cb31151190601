// SPDX-License-Identifier: Apache-2.0
// Device memory in blocks with an address each, cut into pieces: drivers allow few allocations, and caches and norms ask for many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "vk_instance.hpp"

namespace ponder::vk {

enum class MemoryKind {
    kDevice,    // weights, caches, scratch: the device's own memory; the host sees it only where it is one with its own
    kRunData,   // written by the host for each run: the device's own memory if the host can write to it, host memory otherwise
    kUpload,    // host memory that the device copies from
    kReadback,  // host memory that the device copies to
};
inline constexpr int kMemoryKinds = 4;

struct MemoryBlock;

// A piece of a block. Owned by whoever took it; given back with Memory::free.
struct Allocation {
    MemoryBlock* block = nullptr;
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t offset = 0;          // in the buffer
    uint64_t n_bytes = 0;         // 0: nothing is held
    uint64_t address = 0;         // on the device
    std::byte* mapped = nullptr;  // null where the host does not see it
};

class Memory {
  public:
    Memory(const DeviceFunctions& functions, VkDevice device, const VkPhysicalDeviceMemoryProperties& types, const DeviceTraits& traits);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    // Errors: OUT_OF_MEMORY, saying how much was asked for.
    Result<Allocation> allocate(uint64_t n_bytes, MemoryKind kind);
    void free(Allocation& allocation);
    uint64_t bytes_held() const;
    uint64_t bytes_in_use() const;
    // For tests: what asks for more than this fails like a full device.
    void set_cap(uint64_t n_bytes) { cap_ = n_bytes; }

  private:
    Result<MemoryBlock*> add_block(uint64_t n_bytes, MemoryKind kind);

    const DeviceFunctions& fn_;
    const VkDevice device_;
    const uint64_t max_allocation_;
    int32_t type_of_kind_[kMemoryKinds];  // -1: none
    bool is_mapped_[kMemoryKinds];
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<MemoryBlock>> blocks_;
    uint64_t cap_ = ~uint64_t{0}, held_ = 0, used_ = 0;
};

}  // namespace ponder::vk
