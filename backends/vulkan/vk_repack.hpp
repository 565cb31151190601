// SPDX-License-Identifier: Apache-2.0
// How each stored type lies on the device: shaders read whole words at natural alignment, 32 neighbouring elements from one place, so
// blocks are cut into planes on their way there. Types with neither planes nor a shader are plain numbers, and go as the float32 that they
// mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "quant/quant.hpp"

namespace ponder::vk {

inline constexpr int kMaxPlanes = 4;
inline constexpr uint32_t kUnit = 32;  // elements that a shader decodes at once

struct TypeLayout {
    std::string shader;      // the type's part of shader names: "q4_k"
    uint32_t block_len = 0;  // elements
    int n_planes = 0;
    uint32_t plane_bytes[kMaxPlanes] = {};                                     // of a block
    void (*pack)(const std::byte* block, std::byte* const* planes) = nullptr;  // null: plane 0 is the block
    bool is_decoded = false;                                                   // to float32
};

// Nothing is left out: every type that can be decoded has a layout.
TypeLayout find_layout(const QuantType& type);

// Rows [n_rows, n_cols] at src to their planes; a row's last unit is filled up with zeros.
void pack_rows(const TypeLayout& layout, const QuantType& type, const std::byte* src, int64_t n_rows, int64_t n_cols,
               std::byte* const* planes);
// Bytes of a row in a plane.
uint64_t plane_row_bytes(const TypeLayout& layout, int plane, int64_t n_cols);

// The grids of the IQ types, as shaders/grids.glsl expects them.
std::vector<uint32_t> make_tables();

}  // namespace ponder::vk
