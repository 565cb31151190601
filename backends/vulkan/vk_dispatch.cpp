// SPDX-License-Identifier: Apache-2.0
// Opens the loader's library and fills the tables.
#include "vk_dispatch.hpp"

#include <dlfcn.h>

#include <mutex>

#include "vk_instance.hpp"

namespace ponder::vk {

namespace {

struct LoaderState {
    std::mutex mutex;
    bool is_opened = false;
    PFN_vkGetInstanceProcAddr system = nullptr, replacement = nullptr;
};

LoaderState& state() {
    static LoaderState the_state;
    return the_state;
}

}  // namespace

PFN_vkGetInstanceProcAddr loader() {
    LoaderState& s = state();
    const std::lock_guard lock(s.mutex);
    if (s.replacement != nullptr) return s.replacement;
    if (!s.is_opened) {
        s.is_opened = true;
        // Never closed: drivers leave threads and handlers behind that would then run in unmapped memory.
        if (void* library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL); library != nullptr)
            s.system = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
    }
    return s.system;
}

void replace_loader(PFN_vkGetInstanceProcAddr entry) {
    {
        const std::lock_guard lock(state().mutex);
        state().replacement = entry;
    }
    forget_devices();
}

#define PONDER_VK_LOAD(name)                                                \
    table.name = reinterpret_cast<PFN_vk##name>(entry(handle, "vk" #name)); \
    if (table.name == nullptr) return make_error(PONDER_STATUS_DEVICE, "Vulkan has no function vk%s here", #name);

Result<InstanceFunctions> load_instance_functions(PFN_vkGetInstanceProcAddr entry, VkInstance handle) {
    InstanceFunctions table;
    PONDER_VK_INSTANCE_FUNCTIONS(PONDER_VK_LOAD)
    table.CreateDebugUtilsMessengerEXT =
        reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(entry(handle, "vkCreateDebugUtilsMessengerEXT"));
    table.DestroyDebugUtilsMessengerEXT =
        reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(entry(handle, "vkDestroyDebugUtilsMessengerEXT"));
    table.GetPhysicalDeviceMemoryProperties2 =
        reinterpret_cast<PFN_vkGetPhysicalDeviceMemoryProperties2>(entry(handle, "vkGetPhysicalDeviceMemoryProperties2"));
    table.GetPhysicalDeviceCooperativeMatrixPropertiesKHR = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
        entry(handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    table.GetPhysicalDeviceCooperativeMatrixPropertiesNV = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesNV>(
        entry(handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV"));
    return table;
}

Result<DeviceFunctions> load_device_functions(PFN_vkGetDeviceProcAddr entry, VkDevice handle) {
    DeviceFunctions table;
    PONDER_VK_DEVICE_FUNCTIONS(PONDER_VK_LOAD)
    return table;
}

#undef PONDER_VK_LOAD

Error vulkan_error(VkResult result, const char* what) {
    switch (result) {
        case VK_ERROR_OUT_OF_HOST_MEMORY:
            return make_error(PONDER_STATUS_OUT_OF_MEMORY, "%s: no host memory", what);
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
            return make_error(PONDER_STATUS_OUT_OF_MEMORY, "%s: no device memory", what);
        case VK_ERROR_DEVICE_LOST:
            return make_error(PONDER_STATUS_DEVICE_LOST, "%s: the device is lost", what);
        default:
            return make_error(PONDER_STATUS_DEVICE, "%s: Vulkan answers %d", what, static_cast<int>(result));
    }
}

}  // namespace ponder::vk
