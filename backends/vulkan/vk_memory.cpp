// SPDX-License-Identifier: Apache-2.0
// First fit in blocks; what is large gets a block of its own.
#include "vk_memory.hpp"

#include <algorithm>

namespace ponder::vk {

// Free pieces by offset; neighbours are joined.
struct MemoryBlock {
    MemoryKind kind = MemoryKind::kDevice;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t n_bytes = 0, address = 0;
    std::byte* mapped = nullptr;
    std::map<uint64_t, uint64_t> free;
};

namespace {

// No shader reads or writes wider than 16 bytes; 256 keeps pieces from sharing a line of any cache.
constexpr uint64_t kAlignment = 256;
constexpr uint64_t kBlockBytes = 64u << 20, kLargeBytes = 16u << 20;

int32_t find_type(const VkPhysicalDeviceMemoryProperties& types, VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags unwanted = 0) {
    for (uint32_t i = 0; i < types.memoryTypeCount; i++) {
        const VkMemoryPropertyFlags flags = types.memoryTypes[i].propertyFlags;
        if ((flags & wanted) == wanted && (flags & unwanted) == 0) return static_cast<int32_t>(i);
    }
    return -1;
}

int32_t first_found(std::initializer_list<int32_t> types) {
    const auto found = std::find_if(types.begin(), types.end(), [](int32_t type) { return type >= 0; });
    return found == types.end() ? -1 : *found;
}

}  // namespace

Memory::Memory(const DeviceFunctions& functions, VkDevice device, const VkPhysicalDeviceMemoryProperties& types, const DeviceTraits& traits)
    : fn_(functions), device_(device), max_allocation_(traits.max_allocation) {
    constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                                    kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const int32_t host = find_type(types, kHost);
    const int32_t kinds[kMemoryKinds] = {
        traits.is_unified ? first_found({find_type(types, kLocal | kHost), find_type(types, kLocal)}) : find_type(types, kLocal),
        first_found({find_type(types, kLocal | kHost), host}),
        first_found({find_type(types, kHost, kLocal), host}),
        first_found({find_type(types, kHost | kCached), host}),
    };
    for (int i = 0; i < kMemoryKinds; i++) {
        type_of_kind_[i] = kinds[i];
        const bool is_visible = kinds[i] >= 0 && (types.memoryTypes[kinds[i]].propertyFlags & kHost) == kHost;
        is_mapped_[i] = is_visible && (i != static_cast<int>(MemoryKind::kDevice) || traits.is_unified);
    }
}

Memory::~Memory() {
    for (const auto& block : blocks_) {
        fn_.DestroyBuffer(device_, block->buffer, nullptr);
        fn_.FreeMemory(device_, block->memory, nullptr);
    }
}

Result<MemoryBlock*> Memory::add_block(uint64_t n_bytes, MemoryKind kind) {
    const auto k = static_cast<size_t>(kind);
    const auto mega = static_cast<unsigned long long>(n_bytes >> 20);
    if (type_of_kind_[k] < 0) return make_error(PONDER_STATUS_DEVICE, "the device has no memory of the kind needed");
    if (n_bytes > max_allocation_ || held_ > cap_ || n_bytes > cap_ - held_)
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "no device memory for a block of %llu MiB", mega);
    auto block = std::make_unique<MemoryBlock>();
    blocks_.reserve(blocks_.size() + 1);
    block->kind = kind;
    block->n_bytes = n_bytes;
    const VkBufferCreateInfo info{.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                  .size = n_bytes,
                                  .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                           VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT};
    if (const VkResult result = fn_.CreateBuffer(device_, &info, nullptr, &block->buffer); result != VK_SUCCESS)
        return vulkan_error(result, "creating a buffer");
    VkMemoryRequirements needs;
    fn_.GetBufferMemoryRequirements(device_, block->buffer, &needs);
    const VkMemoryAllocateFlagsInfo flags{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                          .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkMemoryAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                        .pNext = &flags,
                                        .allocationSize = needs.size,
                                        .memoryTypeIndex = static_cast<uint32_t>(type_of_kind_[k])};
    VkResult result = fn_.AllocateMemory(device_, &allocate, nullptr, &block->memory);
    if (result == VK_SUCCESS) {
        result = fn_.BindBufferMemory(device_, block->buffer, block->memory, 0);
        void* mapped = nullptr;
        if (result == VK_SUCCESS && is_mapped_[k]) result = fn_.MapMemory(device_, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
        block->mapped = static_cast<std::byte*>(mapped);
        if (result != VK_SUCCESS) fn_.FreeMemory(device_, block->memory, nullptr);
    }
    if (result != VK_SUCCESS) {
        fn_.DestroyBuffer(device_, block->buffer, nullptr);
        const Error failure = vulkan_error(result, "allocating device memory");
        return make_error(failure.status, "%s (a block of %llu MiB)", failure.message.c_str(), mega);
    }
    const VkBufferDeviceAddressInfo address{.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = block->buffer};
    block->address = fn_.GetBufferDeviceAddress(device_, &address);
    block->free[0] = n_bytes;
    held_ += n_bytes;
    blocks_.push_back(std::move(block));
    return blocks_.back().get();
}

Result<Allocation> Memory::allocate(uint64_t n_bytes, MemoryKind kind) {
    if (n_bytes > max_allocation_) {
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "%llu MiB are more than the device allocates at once",
                          static_cast<unsigned long long>(n_bytes >> 20));
    }
    const uint64_t size = (std::max<uint64_t>(n_bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    const std::lock_guard lock(mutex_);
    const auto take = [&](MemoryBlock& block, std::map<uint64_t, uint64_t>::iterator piece) {
        const uint64_t offset = piece->first, rest = piece->second - size;
        if (rest > 0) block.free[offset + size] = rest;
        block.free.erase(piece);
        used_ += size;
        return Allocation{&block, block.buffer,           offset,
                          size,   block.address + offset, block.mapped == nullptr ? nullptr : block.mapped + offset};
    };
    for (const auto& block : blocks_) {
        if (block->kind != kind) continue;
        for (auto piece = block->free.begin(); piece != block->free.end(); ++piece) {
            if (piece->second >= size) return take(*block, piece);
        }
    }
    const bool is_shared = kind == MemoryKind::kDevice && size < kLargeBytes;
    auto block = add_block(is_shared ? kBlockBytes : size, kind);
    if (!block && is_shared) block = add_block(size, kind);  // a device nearly full may still have this much
    if (!block) return block.error();
    return take(**block, (*block)->free.begin());
}

void Memory::free(Allocation& allocation) {
    if (allocation.n_bytes == 0) return;
    const std::lock_guard lock(mutex_);
    MemoryBlock& block = *allocation.block;
    used_ -= allocation.n_bytes;
    auto piece = block.free.emplace(allocation.offset, allocation.n_bytes).first;
    if (const auto next = std::next(piece); next != block.free.end() && piece->first + piece->second == next->first) {
        piece->second += next->second;
        block.free.erase(next);
    }
    if (piece != block.free.begin()) {
        const auto previous = std::prev(piece);
        if (previous->first + previous->second == piece->first) {
            previous->second += piece->second;
            block.free.erase(piece);
            piece = previous;
        }
    }
    allocation = {};
    if (piece->second != block.n_bytes) return;
    fn_.DestroyBuffer(device_, block.buffer, nullptr);
    fn_.FreeMemory(device_, block.memory, nullptr);
    held_ -= block.n_bytes;
    std::erase_if(blocks_, [&](const auto& own) { return own.get() == &block; });
}

uint64_t Memory::bytes_held() const {
    const std::lock_guard lock(mutex_);
    return held_;
}

uint64_t Memory::bytes_in_use() const {
    const std::lock_guard lock(mutex_);
    return used_;
}

}  // namespace ponder::vk
