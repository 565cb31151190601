// SPDX-License-Identifier: Apache-2.0
// Asks devices for cooperative matrices, in the words of both extensions, and chooses among their sizes.
#include "vk_tiles.hpp"

#include <algorithm>
#include <cstring>

#include "vk_pipelines.hpp"

namespace ponder::vk {

namespace {

// In the order of Tiles.
constexpr struct {
    const char *prefix, *name;
} kWays[] = {{"matmul_", "float32"},
             {"matmul_half_", "half floats"},
             {"matmul_coopnv_", "NVIDIA's cooperative matrices"},
             {"matmul_coop_", "cooperative matrices"}};

// Features, Properties: one extension's structures.
template <typename Features, typename Properties>
std::vector<Properties> list_all(const InstanceFunctions& fn, VkPhysicalDevice device, VkStructureType features_type,
                                 VkStructureType properties_type, VkResult(VKAPI_PTR* list)(VkPhysicalDevice, uint32_t*, Properties*)) {
    Features matrix{.sType = features_type};
    VkPhysicalDeviceFeatures2 features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &matrix};
    fn.GetPhysicalDeviceFeatures2(device, &features);
    uint32_t n = 0;
    if (matrix.cooperativeMatrix == 0 || list == nullptr || list(device, &n, nullptr) != VK_SUCCESS) return {};
    std::vector<Properties> all(n);
    for (Properties& one : all) one.sType = properties_type;
    if (list(device, &n, all.data()) != VK_SUCCESS) return {};
    all.resize(n);
    return all;
}

}  // namespace

const char* shader_prefix(Tiles tiles) { return kWays[static_cast<size_t>(tiles)].prefix; }
const char* name_of(Tiles tiles) { return kWays[static_cast<size_t>(tiles)].name; }

bool has_shaders(Tiles tiles) {
    const char* prefix = shader_prefix(tiles);
    const auto all = shaders();
    return std::any_of(all.begin(), all.end(),
                       [&](const Shader& shader) { return std::strncmp(shader.name, prefix, std::strlen(prefix)) == 0; });
}

std::vector<MatrixSizes> list_matrices_khr(const InstanceFunctions& fn, VkPhysicalDevice device) {
    const auto all = list_all<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>(
        fn, device, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR,
        fn.GetPhysicalDeviceCooperativeMatrixPropertiesKHR);
    std::vector<MatrixSizes> sizes;
    for (const VkCooperativeMatrixPropertiesKHR& one : all) {
        if (one.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && one.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            one.CType == VK_COMPONENT_TYPE_FLOAT32_KHR && one.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            one.scope == VK_SCOPE_SUBGROUP_KHR)
            sizes.push_back({one.MSize, one.NSize, one.KSize});
    }
    return sizes;
}

std::vector<MatrixSizes> list_matrices_nv(const InstanceFunctions& fn, VkPhysicalDevice device) {
    const auto all = list_all<VkPhysicalDeviceCooperativeMatrixFeaturesNV>(
        fn, device, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV, VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV,
        fn.GetPhysicalDeviceCooperativeMatrixPropertiesNV);
    std::vector<MatrixSizes> sizes;
    for (const VkCooperativeMatrixPropertiesNV& one : all) {
        if (one.AType == VK_COMPONENT_TYPE_FLOAT16_NV && one.BType == VK_COMPONENT_TYPE_FLOAT16_NV &&
            one.CType == VK_COMPONENT_TYPE_FLOAT32_NV && one.DType == VK_COMPONENT_TYPE_FLOAT32_NV && one.scope == VK_SCOPE_SUBGROUP_NV)
            sizes.push_back({one.MSize, one.NSize, one.KSize});
    }
    return sizes;
}

MatrixSizes choose_sizes(std::span<const MatrixSizes> all, uint32_t subgroup_size) {
    const uint32_t n_subgroups = 256 / subgroup_size;
    MatrixSizes best;
    for (const MatrixSizes& one : all) {
        // Whole fragments in tiles of 64, the same number to each subgroup, and 8 KiB for results.
        const bool divides =
            one.m != 0 && one.n != 0 && one.k != 0 && one.m <= 64 && one.n <= 64 && 64 % one.m == 0 && 64 % one.n == 0 && 64 % one.k == 0;
        if (!divides || n_subgroups % (64 / one.m) != 0 || 64 / one.m * (64 / one.n) % n_subgroups != 0 ||
            n_subgroups * one.m * one.n > 2048)
            continue;
        if (one.k > best.k) best = one;
    }
    return best;
}

}  // namespace ponder::vk
