// SPDX-License-Identifier: Apache-2.0
// The system's Vulkan loader with some functions replaced, so that faults of drivers can be had at will.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "vulkan/vk_dispatch.hpp"
#include "vulkan/vk_instance.hpp"

namespace ponder_test {

// What fails from now on.
struct Faults {
    std::atomic<bool> has_no_devices = false, cannot_create_instance = false, cannot_open = false, cannot_compile = false,
                      computes_nothing = false, computes_nothing_in_halves = false;
    std::atomic<bool> is_open_with_halves = false;  // the last device
    std::atomic<int> submits_until_loss = -1;       // -1: never lost
    std::atomic<bool> is_lost_while_waiting = false;
    std::atomic<bool> is_discrete = false;       // a processor that plays the device says that it has memory of its own
    std::atomic<int64_t> bytes_until_full = -1;  // -1: never full
    std::atomic<bool> has_no_halves = false;
    // Not 0: a device with subgroups of 32 that has cooperative matrices of this many rows, columns and terms by NVIDIA's extension alone.
    std::atomic<uint32_t> nv_matrix = 0;
    std::atomic<int> n_submits = 0, n_dispatches = 0;  // calls so far; those of dispatch record
    std::vector<std::string> asked_extensions;         // by the last device that could not be opened
    PFN_vkGetInstanceProcAddr instance_entry = nullptr;
    PFN_vkGetPhysicalDeviceProperties2 properties = nullptr;
    PFN_vkGetPhysicalDeviceFeatures2 features = nullptr;
    PFN_vkEnumerateDeviceExtensionProperties extensions = nullptr;
    PFN_vkGetDeviceProcAddr device_entry = nullptr;
    PFN_vkCreateDevice open = nullptr;
    PFN_vkQueueSubmit submit = nullptr;
    PFN_vkWaitForFences wait = nullptr;
    PFN_vkAllocateMemory allocate = nullptr;
    PFN_vkCreateComputePipelines compile = nullptr;
    PFN_vkCmdDispatch dispatch = nullptr;
};

inline Faults& faults() {
    static Faults the_faults;
    return the_faults;
}

// Of a chain of structures that a driver has filled.
template <typename Change>
void for_each_in(void* chain, Change change) {
    for (auto* part = static_cast<VkBaseOutStructure*>(chain); part != nullptr; part = part->pNext) change(part);
}

inline VKAPI_ATTR VkResult VKAPI_CALL no_instance(const VkInstanceCreateInfo*, const VkAllocationCallbacks*, VkInstance*) {
    return VK_ERROR_INCOMPATIBLE_DRIVER;
}
inline VKAPI_ATTR VkResult VKAPI_CALL no_devices(VkInstance, uint32_t* n, VkPhysicalDevice*) {
    *n = 0;
    return VK_SUCCESS;
}
inline VKAPI_ATTR VkResult VKAPI_CALL open(VkPhysicalDevice device, const VkDeviceCreateInfo* info, const VkAllocationCallbacks* callbacks,
                                           VkDevice* out) {
    faults().is_open_with_halves = false;
    for_each_in(const_cast<void*>(info->pNext), [](VkBaseOutStructure* part) {
        if (part->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES)
            faults().is_open_with_halves = reinterpret_cast<VkPhysicalDeviceVulkan12Features*>(part)->shaderFloat16 != 0;
    });
    return faults().open(device, info, callbacks, out);
}
inline VKAPI_ATTR VkResult VKAPI_CALL no_open(VkPhysicalDevice, const VkDeviceCreateInfo* info, const VkAllocationCallbacks*, VkDevice*) {
    faults().asked_extensions.assign(info->ppEnabledExtensionNames, info->ppEnabledExtensionNames + info->enabledExtensionCount);
    return VK_ERROR_INITIALIZATION_FAILED;
}
inline VKAPI_ATTR void VKAPI_CALL properties(VkPhysicalDevice device, VkPhysicalDeviceProperties2* out) {
    faults().properties(device, out);
    if (faults().is_discrete) out->properties.deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    if (faults().nv_matrix == 0) return;
    for_each_in(out->pNext, [](VkBaseOutStructure* part) {
        if (part->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES)
            reinterpret_cast<VkPhysicalDeviceSubgroupProperties*>(part)->subgroupSize = 32;
        if (part->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES) {
            auto& sizes = *reinterpret_cast<VkPhysicalDeviceSubgroupSizeControlProperties*>(part);
            sizes.minSubgroupSize = sizes.maxSubgroupSize = 32;
        }
    });
}
inline VKAPI_ATTR void VKAPI_CALL features(VkPhysicalDevice device, VkPhysicalDeviceFeatures2* out) {
    faults().features(device, out);
    for_each_in(out->pNext, [](VkBaseOutStructure* part) {
        if (part->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES && faults().has_no_halves)
            reinterpret_cast<VkPhysicalDeviceVulkan12Features*>(part)->shaderFloat16 = VK_FALSE;
        if (part->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV && faults().nv_matrix != 0)
            reinterpret_cast<VkPhysicalDeviceCooperativeMatrixFeaturesNV*>(part)->cooperativeMatrix = VK_TRUE;
    });
}
inline VKAPI_ATTR VkResult VKAPI_CALL extensions(VkPhysicalDevice device, const char* layer, uint32_t* n, VkExtensionProperties* out) {
    if (faults().nv_matrix == 0) return faults().extensions(device, layer, n, out);
    uint32_t n_real = 0;
    faults().extensions(device, layer, &n_real, nullptr);
    std::vector<VkExtensionProperties> all(n_real);
    faults().extensions(device, layer, &n_real, all.data());
    std::erase_if(
        all, [](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) == 0; });
    all.push_back({VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME, 1});
    if (out != nullptr) std::copy_n(all.begin(), std::min<size_t>(*n, all.size()), out);
    *n = static_cast<uint32_t>(all.size());
    return VK_SUCCESS;
}
// Of half floats summed in half floats, which is not asked for, and summed in float32.
inline VKAPI_ATTR VkResult VKAPI_CALL nv_matrices(VkPhysicalDevice, uint32_t* n, VkCooperativeMatrixPropertiesNV* out) {
    const uint32_t size = faults().nv_matrix;
    constexpr VkComponentTypeNV kHalf = VK_COMPONENT_TYPE_FLOAT16_NV, kFloat = VK_COMPONENT_TYPE_FLOAT32_NV;
    for (uint32_t i = 0; out != nullptr && i < *n; i++) {
        const VkComponentTypeNV sum = i == 0 ? kHalf : kFloat;
        out[i] = {out[i].sType, nullptr, size, size, i == 0 ? 2 * size : size, kHalf, kHalf, sum, sum, VK_SCOPE_SUBGROUP_NV};
    }
    *n = 2;
    return VK_SUCCESS;
}
inline VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t n, const VkSubmitInfo* info, VkFence fence) {
    faults().n_submits++;
    if (faults().submits_until_loss >= 0 && faults().submits_until_loss-- <= 0) {
        faults().submits_until_loss = 0;
        return VK_ERROR_DEVICE_LOST;
    }
    return faults().submit(queue, n, info, fence);
}
inline VKAPI_ATTR VkResult VKAPI_CALL wait(VkDevice device, uint32_t n, const VkFence* fences, VkBool32 all, uint64_t timeout) {
    const VkResult result = faults().wait(device, n, fences, all, timeout);
    return faults().is_lost_while_waiting ? VK_ERROR_DEVICE_LOST : result;
}
inline VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks* callbacks,
                                               VkDeviceMemory* memory) {
    if (faults().bytes_until_full >= 0) {
        if (faults().bytes_until_full < static_cast<int64_t>(info->allocationSize)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
        faults().bytes_until_full -= static_cast<int64_t>(info->allocationSize);
    }
    return faults().allocate(device, info, callbacks, memory);
}
inline VKAPI_ATTR VkResult VKAPI_CALL compile(VkDevice device, VkPipelineCache cache, uint32_t n, const VkComputePipelineCreateInfo* infos,
                                              const VkAllocationCallbacks* callbacks, VkPipeline* pipelines) {
    if (faults().cannot_compile) return VK_ERROR_UNKNOWN;
    return faults().compile(device, cache, n, infos, callbacks, pipelines);
}

inline VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z) {
    faults().n_dispatches++;
    const bool is_wrong = faults().computes_nothing || (faults().computes_nothing_in_halves && faults().is_open_with_halves);
    if (!is_wrong) faults().dispatch(commands, x, y, z);
}

inline VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char* name) {
    const PFN_vkVoidFunction real = faults().device_entry(device, name);
    if (std::strcmp(name, "vkQueueSubmit") == 0) {
        faults().submit = reinterpret_cast<PFN_vkQueueSubmit>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(submit);
    }
    if (std::strcmp(name, "vkWaitForFences") == 0) {
        faults().wait = reinterpret_cast<PFN_vkWaitForFences>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(wait);
    }
    if (std::strcmp(name, "vkAllocateMemory") == 0) {
        faults().allocate = reinterpret_cast<PFN_vkAllocateMemory>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(allocate);
    }
    if (std::strcmp(name, "vkCreateComputePipelines") == 0) {
        faults().compile = reinterpret_cast<PFN_vkCreateComputePipelines>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(compile);
    }
    if (std::strcmp(name, "vkCmdDispatch") == 0) {
        faults().dispatch = reinterpret_cast<PFN_vkCmdDispatch>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(dispatch);
    }
    return real;
}

inline VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance instance, const char* name) {
    if (faults().cannot_create_instance && std::strcmp(name, "vkCreateInstance") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(no_instance);
    if (faults().has_no_devices && std::strcmp(name, "vkEnumeratePhysicalDevices") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(no_devices);
    if (faults().cannot_open && std::strcmp(name, "vkCreateDevice") == 0) return reinterpret_cast<PFN_vkVoidFunction>(no_open);
    const PFN_vkVoidFunction real = faults().instance_entry(instance, name);
    if (std::strcmp(name, "vkCreateDevice") == 0) {
        faults().open = reinterpret_cast<PFN_vkCreateDevice>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(open);
    }
    if (std::strcmp(name, "vkGetPhysicalDeviceProperties2") == 0) {
        faults().properties = reinterpret_cast<PFN_vkGetPhysicalDeviceProperties2>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(properties);
    }
    if (std::strcmp(name, "vkGetPhysicalDeviceFeatures2") == 0) {
        faults().features = reinterpret_cast<PFN_vkGetPhysicalDeviceFeatures2>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(features);
    }
    if (std::strcmp(name, "vkEnumerateDeviceExtensionProperties") == 0) {
        faults().extensions = reinterpret_cast<PFN_vkEnumerateDeviceExtensionProperties>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(extensions);
    }
    if (std::strcmp(name, "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(nv_matrices);
    if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) {
        faults().device_entry = reinterpret_cast<PFN_vkGetDeviceProcAddr>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(device_function);
    }
    return real;
}

// While it lives, faults() happen.
class MockLoader {
  public:
    MockLoader() {
        faults().instance_entry = ponder::vk::loader();
        ponder::vk::replace_loader(instance_function);
    }
    ~MockLoader() {
        Faults& f = faults();
        f.has_no_devices = f.cannot_create_instance = f.cannot_open = f.cannot_compile = f.computes_nothing = f.computes_nothing_in_halves =
            false;
        f.submits_until_loss = -1;
        f.is_discrete = f.has_no_halves = false;
        f.nv_matrix = 0;
        f.is_lost_while_waiting = false;
        f.bytes_until_full = -1;
        ponder::vk::replace_loader(nullptr);
    }
    MockLoader(const MockLoader&) = delete;
    MockLoader& operator=(const MockLoader&) = delete;
    // After a change of what devices there are.
    static void probe_again() { ponder::vk::forget_devices(); }
};

}  // namespace ponder_test
