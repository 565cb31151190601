// SPDX-License-Identifier: Apache-2.0
// Opens devices, submits, moves bytes.
#include "vk_device.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "vk_repack.hpp"

namespace ponder::vk {

namespace {

constexpr uint64_t kStageBytes = 16u << 20, kReadbackBytes = 4u << 20;

void log_variant(const DeviceTraits& traits) {
    const MatrixSizes& m = traits.matrix;
    char sizes[48] = "";
    if (m.m != 0) std::snprintf(sizes, sizeof sizes, " of %ux%ux%u", m.m, m.n, m.k);
    log_message(PONDER_LOG_INFO, "Vulkan device %s: products of many rows by %s%s, of few by %s; %u lanes in a subgroup",
                traits.name.c_str(), name_of(traits.tiles), sizes, traits.has_int_dot ? "integers" : "float32", traits.subgroup_size);
}

}  // namespace

Result<std::unique_ptr<Device>> Device::open(int32_t index, const DeviceOptions& options) {
    std::unique_ptr<Device> device(new Device);
    device->options_ = options;
    if (auto started = device->start(index); !started) return started.error();
    return device;
}

Result<void> Device::start(int32_t index) {
    auto instance = Instance::create(options_.is_validated);
    if (!instance) return instance.error();
    instance_ = std::move(*instance);
    const auto devices = instance_->list_devices();
    if (!devices) return devices.error();
    if (index < 0 || static_cast<size_t>(index) >= devices->size())
        return make_error(PONDER_STATUS_NOT_FOUND, "Vulkan device %d does not exist; there are %zu", index, devices->size());
    const VkPhysicalDevice physical = (*devices)[static_cast<size_t>(index)];
    traits_ = instance_->probe(physical);
    if (!traits_.unusable.empty())
        return make_error(PONDER_STATUS_DEVICE, "%s cannot be used: %s", traits_.name.c_str(), traits_.unusable.c_str());

    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                        .queueFamilyIndex = traits_.queue_family,
                                        .queueCount = 1,
                                        .pQueuePriorities = &priority};
    if (options_.is_plain) {
        traits_.tiles = Tiles::kFloats;
        traits_.has_int_dot = false;
    }
    std::vector<const char*> extensions;
    void* next = nullptr;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
                                                        .shaderIntegerDotProduct = VK_TRUE};
    if (traits_.has_int_dot) {
        extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
        next = &dot;
    }
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices{
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .pNext = next, .cooperativeMatrix = VK_TRUE};
    VkPhysicalDeviceCooperativeMatrixFeaturesNV matrices_nv{
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV, .pNext = next, .cooperativeMatrix = VK_TRUE};
    const bool has_khr = traits_.tiles == Tiles::kMatricesKhr, has_nv = traits_.tiles == Tiles::kMatricesNv;
    if (has_khr || has_nv) {
        extensions.push_back(has_khr ? VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME : VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME);
        next = has_khr ? static_cast<void*>(&matrices) : &matrices_nv;
    }
    const VkPhysicalDeviceVulkan12Features features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                    .pNext = next,
                                                    .shaderFloat16 = traits_.tiles != Tiles::kFloats,
                                                    .bufferDeviceAddress = VK_TRUE,
                                                    .vulkanMemoryModel = has_khr || has_nv};
    const VkDeviceCreateInfo info{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                  .pNext = &features,
                                  .queueCreateInfoCount = 1,
                                  .pQueueCreateInfos = &queue,
                                  .enabledExtensionCount = static_cast<uint32_t>(extensions.size()),
                                  .ppEnabledExtensionNames = extensions.data()};
    const InstanceFunctions& instance_fn = instance_->functions();
    if (const VkResult result = instance_fn.CreateDevice(physical, &info, nullptr, &device_); result != VK_SUCCESS) {
        device_ = VK_NULL_HANDLE;
        return vulkan_error(result, "opening a Vulkan device");
    }
    log_variant(traits_);
    auto functions = load_device_functions(instance_fn.GetDeviceProcAddr, device_);
    if (!functions) return functions.error();
    fn_ = *functions;
    fn_.GetDeviceQueue(device_, traits_.queue_family, 0, &queue_);

    VkPhysicalDeviceMemoryProperties types;
    instance_fn.GetPhysicalDeviceMemoryProperties(physical, &types);
    memory_ = std::make_unique<Memory>(fn_, device_, types, traits_);
    pipelines_ = std::make_unique<Pipelines>(fn_, device_);
    if (auto started = pipelines_->start(); !started) return started;
    auto pool = ThreadPool::create(std::clamp(options_.n_threads > 0 ? options_.n_threads : available_cores(), 1, 16));
    if (!pool) return pool.error();
    pool_ = std::move(*pool);

    const VkCommandPoolCreateInfo pool_info{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                            .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                            .queueFamilyIndex = traits_.queue_family};
    for (VkCommandPool* target : {&command_pool_, &transfer_pool_}) {
        if (const VkResult result = fn_.CreateCommandPool(device_, &pool_info, nullptr, target); result != VK_SUCCESS)
            return vulkan_error(result, "creating a command pool");
    }
    for (Transfer* transfer : {&transfer_, &stages_[0].transfer, &stages_[1].transfer}) {
        const VkCommandBufferAllocateInfo commands{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                   .commandPool = transfer_pool_,
                                                   .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                   .commandBufferCount = 1};
        if (const VkResult result = fn_.AllocateCommandBuffers(device_, &commands, &transfer->commands); result != VK_SUCCESS)
            return vulkan_error(result, "creating a command buffer");
        auto fence = make_fence();
        if (!fence) return fence.error();
        transfer->fence = *fence;
    }

    const std::vector<uint32_t> tables = make_tables();
    auto allocation = memory_->allocate(tables.size() * sizeof(uint32_t), MemoryKind::kDevice);
    if (!allocation) return allocation.error();
    tables_ = *allocation;
    return write(tables_, 0, tables.data(), tables.size() * sizeof(uint32_t));
}

Device::~Device() {
    if (device_ == VK_NULL_HANDLE) return;
    if (fn_.DestroyDevice != nullptr) {
        fn_.DeviceWaitIdle(device_);
        for (Allocation* allocation : {&stages_[0].memory, &stages_[1].memory, &readback_, &tables_}) {
            if (memory_ != nullptr) memory_->free(*allocation);
        }
        for (const Transfer* transfer : {&transfer_, &stages_[0].transfer, &stages_[1].transfer}) {
            if (transfer->fence != VK_NULL_HANDLE) fn_.DestroyFence(device_, transfer->fence, nullptr);
        }
        for (const VkCommandPool pool : {command_pool_, transfer_pool_}) {
            if (pool != VK_NULL_HANDLE) fn_.DestroyCommandPool(device_, pool, nullptr);
        }
        pipelines_.reset();
        memory_.reset();
        fn_.DestroyDevice(device_, nullptr);
        return;
    }
    // Its functions could not be loaded: at least this one is then asked for again.
    const auto destroy = reinterpret_cast<PFN_vkDestroyDevice>(instance_->functions().GetDeviceProcAddr(device_, "vkDestroyDevice"));
    if (destroy != nullptr) destroy(device_, nullptr);
}

Result<VkFence> Device::make_fence() {
    const VkFenceCreateInfo info{.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkFence fence = VK_NULL_HANDLE;
    if (const VkResult result = fn_.CreateFence(device_, &info, nullptr, &fence); result != VK_SUCCESS)
        return vulkan_error(result, "creating a fence");
    return fence;
}

Result<void> Device::submit(VkCommandBuffer commands, VkFence fence) {
    const VkSubmitInfo info{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    const std::lock_guard lock(queue_mutex_);
    if (const VkResult result = fn_.QueueSubmit(queue_, 1, &info, fence); result != VK_SUCCESS)
        return vulkan_error(result, "submitting work");
    return {};
}

Result<void> Device::wait(VkFence fence) {
    VkResult result = VK_TIMEOUT;
    while (result == VK_TIMEOUT) result = fn_.WaitForFences(device_, 1, &fence, VK_TRUE, 1'000'000'000);
    if (result != VK_SUCCESS) return vulkan_error(result, "waiting for the device");
    if (result = fn_.ResetFences(device_, 1, &fence); result != VK_SUCCESS) return vulkan_error(result, "waiting for the device");
    return {};
}

Result<void> Device::submit_and_wait(VkCommandBuffer commands, VkFence fence) {
    if (auto submitted = submit(commands, fence); !submitted) return submitted;
    return wait(fence);
}

Result<void> Device::begin_copy(const Transfer& transfer, VkBuffer dst, VkBuffer src, const VkBufferCopy& region) {
    const VkCommandBufferBeginInfo begin{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                         .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    if (const VkResult result = fn_.BeginCommandBuffer(transfer.commands, &begin); result != VK_SUCCESS)
        return vulkan_error(result, "recording a copy");
    fn_.CmdCopyBuffer(transfer.commands, src, dst, 1, &region);
    const VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                  .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT};
    fn_.CmdPipelineBarrier(transfer.commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                           VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1,
                           &barrier, 0, nullptr, 0, nullptr);
    if (const VkResult result = fn_.EndCommandBuffer(transfer.commands); result != VK_SUCCESS)
        return vulkan_error(result, "recording a copy");
    return submit(transfer.commands, transfer.fence);
}

Result<void> Device::copy_now(VkBuffer dst, VkBuffer src, const VkBufferCopy& region) {
    if (auto begun = begin_copy(transfer_, dst, src, region); !begun) return begun;
    return wait(transfer_.fence);
}

Result<void> Device::finish(Stage& stage) { return std::exchange(stage.is_pending, false) ? wait(stage.transfer.fence) : Result<void>(); }

Result<void> Device::write(const Allocation& dst, uint64_t offset, const void* src, uint64_t n_bytes) {
    if (dst.mapped != nullptr) {
        std::memcpy(dst.mapped + offset, src, n_bytes);
        return {};
    }
    const std::lock_guard lock(transfer_mutex_);
    auto written = fill_stages(dst, offset, static_cast<const std::byte*>(src), n_bytes);
    // Also after an error: nothing may still be under way to memory that the caller then frees.
    for (Stage& stage : stages_) {
        if (auto finished = finish(stage); written && !finished) written = finished;
    }
    return written;
}

// While the device takes one stage's bytes, the host writes the next ones to the other.
Result<void> Device::fill_stages(const Allocation& dst, uint64_t offset, const std::byte* src, uint64_t n_bytes) {
    for (uint64_t done = 0, i = 0; done < n_bytes; i++) {
        Stage& stage = stages_[i % 2];
        if (stage.memory.n_bytes == 0) {
            auto memory = memory_->allocate(kStageBytes, MemoryKind::kUpload);
            if (!memory) return memory.error();
            stage.memory = *memory;
        }
        if (auto finished = finish(stage); !finished) return finished;
        const uint64_t n = std::min(kStageBytes, n_bytes - done);
        std::memcpy(stage.memory.mapped, src + done, n);
        if (auto begun = begin_copy(stage.transfer, dst.buffer, stage.memory.buffer, {stage.memory.offset, dst.offset + offset + done, n});
            !begun)
            return begun;
        stage.is_pending = true;
        done += n;
    }
    return {};
}

Result<void> Device::read(const Allocation& src, uint64_t offset, void* dst, uint64_t n_bytes) {
    if (src.mapped != nullptr) {
        std::memcpy(dst, src.mapped + offset, n_bytes);
        return {};
    }
    const std::lock_guard lock(transfer_mutex_);
    if (readback_.n_bytes == 0) {
        auto readback = memory_->allocate(kReadbackBytes, MemoryKind::kReadback);
        if (!readback) return readback.error();
        readback_ = *readback;
    }
    for (uint64_t done = 0; done < n_bytes;) {
        const uint64_t n = std::min(kReadbackBytes, n_bytes - done);
        if (auto copied = copy_now(readback_.buffer, src.buffer, {src.offset + offset + done, readback_.offset, n}); !copied) return copied;
        std::memcpy(static_cast<std::byte*>(dst) + done, readback_.mapped, n);
        done += n;
    }
    return {};
}

Result<void> Device::copy(const Allocation& dst, uint64_t dst_offset, const Allocation& src, uint64_t src_offset, uint64_t n_bytes) {
    const std::lock_guard lock(transfer_mutex_);
    return copy_now(dst.buffer, src.buffer, {src.offset + src_offset, dst.offset + dst_offset, n_bytes});
}

}  // namespace ponder::vk
