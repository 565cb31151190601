// SPDX-License-Identifier: Apache-2.0
// A Vulkan instance, and what its devices say of themselves before any is opened.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vk_dispatch.hpp"
#include "vk_tiles.hpp"

namespace ponder::vk {

struct DeviceTraits {
    std::string name, description;
    VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
    uint64_t memory_bytes = 0;  // of the largest heap that is the device's own
    uint64_t max_allocation = 0;
    uint32_t shared_bytes = 0;  // memory of one workgroup
    uint32_t subgroup_size = 0;
    uint32_t queue_family = 0;
    Tiles tiles = Tiles::kFloats;                    // the best that device, driver and build have
    MatrixSizes matrix;                              // where tiles are of cooperative matrices
    bool has_int_dot = false;                        // products of four bytes at a time, and what matvec.glsl needs to round source rows
    bool is_unified = false;                         // the device's memory is the host's
    uint64_t identity = 0;                           // another number for another device model or driver version
    VkPipelineCacheHeaderVersionOne cache_header{};  // how the driver's pipeline caches must begin
    std::string unusable;                            // why the backend cannot use it; empty: it can
};

class Instance {
  public:
    // is_validated: with the Khronos validation layer, whose messages are counted. Errors: NOT_FOUND without Vulkan or the layer, DEVICE.
    static Result<std::unique_ptr<Instance>> create(bool is_validated);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    const InstanceFunctions& functions() const { return functions_; }
    Result<std::vector<VkPhysicalDevice>> list_devices() const;
    DeviceTraits probe(VkPhysicalDevice device) const;
    // Of the largest heap that is the device's own, what this process may still take; all of it where the driver does not say.
    uint64_t free_bytes(VkPhysicalDevice device) const;
    int32_t n_messages() const { return n_messages_.load(); }

  private:
    Instance() = default;
    void probe_matrices(VkPhysicalDevice device, const std::vector<VkExtensionProperties>& extensions, DeviceTraits& traits) const;
    static VKAPI_ATTR VkBool32 VKAPI_CALL count_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                                        const VkDebugUtilsMessengerCallbackDataEXT* data, void* instance);

    VkInstance handle_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    InstanceFunctions functions_;
    std::atomic<int32_t> n_messages_ = 0;
};

// All devices of this machine, probed at the first call by an instance that is gone afterwards; none without Vulkan or a driver. The result
// stays where it is until forget_devices.
const std::vector<DeviceTraits>& known_devices();
void forget_devices();

}  // namespace ponder::vk
