// SPDX-License-Identifier: Apache-2.0
// How products of many source rows are made on a device, and the sizes of its cooperative matrices.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vk_dispatch.hpp"

namespace ponder::vk {

// From what every device has to the fastest. Sums are of float32 everywhere; the operands of all but kFloats are half floats.
enum class Tiles {
    kFloats,
    kHalves,
    kMatricesNv,   // cooperative matrices of VK_NV_cooperative_matrix
    kMatricesKhr,  // of VK_KHR_cooperative_matrix
};

// The shader of a stored type is this and the type's name.
const char* shader_prefix(Tiles tiles);
bool has_shaders(Tiles tiles);
const char* name_of(Tiles tiles);  // for people

struct MatrixSizes {
    uint32_t m = 0, n = 0, k = 0;
};

// What a device lists of half floats that a subgroup multiplies and sums in float32; none where it lacks the feature.
std::vector<MatrixSizes> list_matrices_khr(const InstanceFunctions& fn, VkPhysicalDevice device);
std::vector<MatrixSizes> list_matrices_nv(const InstanceFunctions& fn, VkPhysicalDevice device);
// Those with the largest k that matmul_coop.glsl can deal out to a workgroup's subgroups; zeros if there are none.
MatrixSizes choose_sizes(std::span<const MatrixSizes> all, uint32_t subgroup_size);

}  // namespace ponder::vk
