// SPDX-License-Identifier: Apache-2.0
// Creates instances and probes devices.
#include "vk_instance.hpp"

#include <algorithm>
#include <cstring>
#include <list>
#include <mutex>
#include <span>

#include "base/checksum.hpp"
#include "base/log.hpp"
#include "vk_quirks.hpp"

namespace ponder::vk {

namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
constexpr uint32_t kVersion = VK_API_VERSION_1_2;

bool has_extension(const std::vector<VkExtensionProperties>& all, const char* name) {
    return std::any_of(all.begin(), all.end(), [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, name) == 0; });
}

bool has_layer(PFN_vkGetInstanceProcAddr entry, const char* name) {
    const auto list = reinterpret_cast<PFN_vkEnumerateInstanceLayerProperties>(entry(nullptr, "vkEnumerateInstanceLayerProperties"));
    uint32_t n = 0;
    if (list == nullptr || list(&n, nullptr) != VK_SUCCESS) return false;
    std::vector<VkLayerProperties> all(n);
    list(&n, all.data());
    return std::any_of(all.begin(), all.end(), [&](const VkLayerProperties& l) { return std::strcmp(l.layerName, name) == 0; });
}

const char* type_name(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return "discrete GPU";
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return "integrated GPU";
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return "virtual GPU";
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return "software";
        default:
            return "other";
    }
}

// The driver's UUID alone would do where drivers keep to the specification; some leave it the same from version to version.
uint64_t identity_of(const VkPhysicalDeviceProperties& p, const VkPhysicalDeviceIDProperties& id,
                     const VkPhysicalDeviceDriverProperties& driver) {
    Checksum sum;
    const uint32_t numbers[] = {p.vendorID, p.deviceID, p.driverVersion, p.apiVersion, static_cast<uint32_t>(driver.driverID)};
    sum.update(std::as_bytes(std::span(numbers)));
    sum.update(std::as_bytes(std::span(p.pipelineCacheUUID)));
    sum.update(std::as_bytes(std::span(id.driverUUID)));
    for (const char* text : {p.deviceName, driver.driverName, driver.driverInfo})
        sum.update(std::as_bytes(std::span(text, std::strlen(text) + 1)));
    return sum.value();
}

struct KnownDevices {
    std::mutex mutex;
    bool is_probed = false;
    std::vector<DeviceTraits> devices;
    std::list<std::vector<DeviceTraits>> forgotten;  // callers may still hold their names
};

KnownDevices& known() {
    static KnownDevices devices;
    return devices;
}

std::vector<DeviceTraits> probe_all() {
    auto instance = Instance::create(false);
    if (!instance) return {};
    const auto devices = (*instance)->list_devices();
    std::vector<DeviceTraits> all;
    if (devices) {
        for (const VkPhysicalDevice device : *devices) all.push_back((*instance)->probe(device));
    }
    return all;
}

}  // namespace

VkBool32 Instance::count_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                 const VkDebugUtilsMessengerCallbackDataEXT* data, void* instance) {
    static_cast<Instance*>(instance)->n_messages_.fetch_add(1);
    log_message(PONDER_LOG_WARNING, "Vulkan validation: %s", data->pMessage != nullptr ? data->pMessage : "no text");
    return VK_FALSE;
}

Result<std::unique_ptr<Instance>> Instance::create(bool is_validated) {
    const PFN_vkGetInstanceProcAddr entry = loader();
    if (entry == nullptr) return make_error(PONDER_STATUS_NOT_FOUND, "no Vulkan loader (libvulkan.so.1) on this machine");
    const auto create = reinterpret_cast<PFN_vkCreateInstance>(entry(nullptr, "vkCreateInstance"));
    if (create == nullptr) return make_error(PONDER_STATUS_DEVICE, "the Vulkan loader has no vkCreateInstance");
    if (is_validated && !has_layer(entry, kValidationLayer))
        return make_error(PONDER_STATUS_NOT_FOUND, "the Vulkan validation layer is not installed");

    std::unique_ptr<Instance> instance(new Instance);
    const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pEngineName = "ponder", .apiVersion = kVersion};
    const VkDebugUtilsMessengerCreateInfoEXT messages{
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = count_message,
        .pUserData = instance.get()};
    const VkValidationFeatureEnableEXT checks[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    const VkValidationFeaturesEXT validation{.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                             .pNext = &messages,
                                             .enabledValidationFeatureCount = 1,
                                             .pEnabledValidationFeatures = checks};
    const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    const VkInstanceCreateInfo info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                    .pNext = is_validated ? &validation : nullptr,
                                    .pApplicationInfo = &application,
                                    .enabledLayerCount = is_validated ? 1u : 0u,
                                    .ppEnabledLayerNames = &kValidationLayer,
                                    .enabledExtensionCount = is_validated ? 1u : 0u,
                                    .ppEnabledExtensionNames = &extension};
    if (const VkResult result = create(&info, nullptr, &instance->handle_); result != VK_SUCCESS) {
        instance->handle_ = VK_NULL_HANDLE;
        return vulkan_error(result, "creating a Vulkan instance");
    }
    auto functions = load_instance_functions(entry, instance->handle_);
    if (!functions) return functions.error();
    instance->functions_ = *functions;
    if (is_validated && instance->functions_.CreateDebugUtilsMessengerEXT != nullptr)
        instance->functions_.CreateDebugUtilsMessengerEXT(instance->handle_, &messages, nullptr, &instance->messenger_);
    return instance;
}

Instance::~Instance() {
    if (messenger_ != VK_NULL_HANDLE) functions_.DestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
    if (handle_ != VK_NULL_HANDLE && functions_.DestroyInstance != nullptr) functions_.DestroyInstance(handle_, nullptr);
}

Result<std::vector<VkPhysicalDevice>> Instance::list_devices() const {
    uint32_t n = 0;
    VkResult result = functions_.EnumeratePhysicalDevices(handle_, &n, nullptr);
    std::vector<VkPhysicalDevice> devices(n);
    if (result == VK_SUCCESS) result = functions_.EnumeratePhysicalDevices(handle_, &n, devices.data());
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) return vulkan_error(result, "listing Vulkan devices");
    devices.resize(n);
    // Hardware before what a processor plays, a card of its own before a part of the processor; otherwise the loader's order.
    const auto rank = [this](VkPhysicalDevice device) {
        VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
        functions_.GetPhysicalDeviceProperties2(device, &properties);
        switch (properties.properties.deviceType) {
            case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
                return 0;
            case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
                return 1;
            case VK_PHYSICAL_DEVICE_TYPE_CPU:
                return 3;
            default:
                return 2;
        }
    };
    std::stable_sort(devices.begin(), devices.end(), [&](VkPhysicalDevice a, VkPhysicalDevice b) { return rank(a) < rank(b); });
    return devices;
}

DeviceTraits Instance::probe(VkPhysicalDevice device) const {
    DeviceTraits traits;
    VkPhysicalDeviceDriverProperties driver{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceIDProperties id{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, .pNext = &driver};
    VkPhysicalDeviceMaintenance3Properties allocation{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, .pNext = &id};
    VkPhysicalDeviceSubgroupProperties subgroup{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &allocation};
    VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &subgroup};
    functions_.GetPhysicalDeviceProperties2(device, &properties);
    const VkPhysicalDeviceProperties& p = properties.properties;
    traits.name = p.deviceName;
    traits.type = p.deviceType;
    traits.description = std::string(type_name(p.deviceType)) + ", " + driver.driverName + " " + driver.driverInfo;
    traits.identity = identity_of(p, id, driver);
    traits.cache_header = {.headerSize = sizeof traits.cache_header,
                           .headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE,
                           .vendorID = p.vendorID,
                           .deviceID = p.deviceID,
                           .pipelineCacheUUID = {}};
    std::memcpy(traits.cache_header.pipelineCacheUUID, p.pipelineCacheUUID, VK_UUID_SIZE);
    traits.max_allocation = allocation.maxMemoryAllocationSize;
    traits.subgroup_size = subgroup.subgroupSize;
    traits.shared_bytes = p.limits.maxComputeSharedMemorySize;

    VkPhysicalDeviceMemoryProperties memory;
    functions_.GetPhysicalDeviceMemoryProperties(device, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
            traits.memory_bytes = std::max(traits.memory_bytes, static_cast<uint64_t>(memory.memoryHeaps[i].size));
    }
    traits.is_unified = p.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || p.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;

    uint32_t n = 0;
    functions_.GetPhysicalDeviceQueueFamilyProperties(device, &n, nullptr);
    std::vector<VkQueueFamilyProperties> families(n);
    functions_.GetPhysicalDeviceQueueFamilyProperties(device, &n, families.data());
    const auto family = std::find_if(families.begin(), families.end(),
                                     [](const VkQueueFamilyProperties& f) { return (f.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0; });
    traits.queue_family = static_cast<uint32_t>(family - families.begin());

    uint32_t n_extensions = 0;
    functions_.EnumerateDeviceExtensionProperties(device, nullptr, &n_extensions, nullptr);
    std::vector<VkExtensionProperties> extensions(n_extensions);
    functions_.EnumerateDeviceExtensionProperties(device, nullptr, &n_extensions, extensions.data());
    if (p.apiVersion < kVersion) {
        traits.unusable = "its driver has no Vulkan 1.2";
        return traits;
    }
    VkPhysicalDeviceVulkan12Features features12{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &features12};
    functions_.GetPhysicalDeviceFeatures2(device, &features);
    const bool knows_subgroups =
        p.apiVersion >= VK_API_VERSION_1_3 || has_extension(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    const uint32_t left_out = find_left_out(known_quirks(), {driver.driverID, p.deviceType, p.driverVersion});
    if ((left_out & kNoHalves) == 0 && features12.shaderFloat16 != 0) {
        traits.tiles = Tiles::kHalves;
        if ((left_out & kNoMatrices) == 0 && features12.vulkanMemoryModel != 0 && knows_subgroups)
            probe_matrices(device, extensions, traits);
    }
    // Eight neighbours round a unit together.
    constexpr VkSubgroupFeatureFlags kNeeded = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_CLUSTERED_BIT;
    if ((left_out & kNoIntDot) == 0 && has_extension(extensions, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME) &&
        traits.subgroup_size >= 8 && (subgroup.supportedOperations & kNeeded) == kNeeded &&
        (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0) {
        VkPhysicalDeviceShaderIntegerDotProductFeatures dot{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
        VkPhysicalDeviceFeatures2 more{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &dot};
        functions_.GetPhysicalDeviceFeatures2(device, &more);
        traits.has_int_dot = dot.shaderIntegerDotProduct != 0;
    }
    if (features12.bufferDeviceAddress == 0) {
        traits.unusable = "its driver has no buffer device addresses";
    } else if (family == families.end()) {
        traits.unusable = "it has no queue for compute";
    } else if (p.limits.maxComputeWorkGroupInvocations < 256 || p.limits.maxPushConstantsSize < 128) {
        traits.unusable = "its workgroups are smaller than 256";
    }
    return traits;
}

uint64_t Instance::free_bytes(VkPhysicalDevice device) const {
    uint32_t n = 0;
    functions_.EnumerateDeviceExtensionProperties(device, nullptr, &n, nullptr);
    std::vector<VkExtensionProperties> extensions(n);
    functions_.EnumerateDeviceExtensionProperties(device, nullptr, &n, extensions.data());
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
    const bool has_budget =
        functions_.GetPhysicalDeviceMemoryProperties2 != nullptr && has_extension(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (has_budget) {
        functions_.GetPhysicalDeviceMemoryProperties2(device, &memory);
    } else {
        functions_.GetPhysicalDeviceMemoryProperties(device, &memory.memoryProperties);
    }
    uint64_t largest = 0, free = 0;
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; i++) {
        const VkMemoryHeap& heap = memory.memoryProperties.memoryHeaps[i];
        if ((heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0 || heap.size <= largest) continue;
        largest = heap.size;
        const uint64_t left = budget.heapBudget[i] > budget.heapUsage[i] ? budget.heapBudget[i] - budget.heapUsage[i] : 0;
        free = has_budget ? std::min<uint64_t>(left, heap.size) : heap.size;
    }
    return free;
}

// Fragments are dealt out to subgroups, so their number in a workgroup must be known. A step of 64 columns takes 26 KiB of shared memory.
void Instance::probe_matrices(VkPhysicalDevice device, const std::vector<VkExtensionProperties>& extensions, DeviceTraits& traits) const {
    VkPhysicalDeviceSubgroupSizeControlProperties sizes{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &sizes};
    functions_.GetPhysicalDeviceProperties2(device, &properties);
    if (sizes.minSubgroupSize != sizes.maxSubgroupSize || traits.shared_bytes < 26 * 1024) return;
    const auto choose = [&](Tiles tiles, const char* extension, auto list) {
        if (!has_shaders(tiles) || !has_extension(extensions, extension)) return false;
        traits.matrix = choose_sizes(list(functions_, device), traits.subgroup_size);
        if (traits.matrix.m == 0) return false;
        traits.tiles = tiles;
        return true;
    };
    if (!choose(Tiles::kMatricesKhr, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, list_matrices_khr))
        choose(Tiles::kMatricesNv, VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME, list_matrices_nv);
}

const std::vector<DeviceTraits>& known_devices() {
    KnownDevices& k = known();
    const std::lock_guard lock(k.mutex);
    if (!k.is_probed) {
        k.devices = probe_all();
        k.is_probed = true;
    }
    return k.devices;
}

void forget_devices() {
    KnownDevices& k = known();
    const std::lock_guard lock(k.mutex);
    k.forgotten.push_back(std::move(k.devices));
    k.devices.clear();
    k.is_probed = false;
}

}  // namespace ponder::vk
