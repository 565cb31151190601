// SPDX-License-Identifier: Apache-2.0
// IQ3_S: 3.4375 bits a weight; groups of 4 from a grid of 512, one scale in 32, a stored sign an element.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 110 bytes, 256 elements:
//   0   half d
//   2   u8 x 64, one per 4 elements: low 8 bits of the grid index
//  66   u8 x 8, one per 32 elements: bit i = high bit of the grid index of its i-th 4 elements
//  74   u8 x 32, one per 8 elements: sign bits
// 106   u8 x 4, one per 64 elements: low nibble = scale of the first 32, high nibble = scale of the last 32
// value = d * (2s + 1) * magnitude * sign
void decode_iq3_s(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 110, dst += 256) {
        const float d = load_half(src);
        for (int part = 0; part < 32; part++) {
            const uint32_t high = static_cast<uint32_t>(load_u8(src + 66 + part / 4)) >> (2 * (part % 4));
            const uint32_t nibble = (load_u8(src + 106 + part / 8) >> (part & 4 ? 4 : 0)) & 15u;
            const float scale = d * static_cast<float>(1 + 2 * nibble);
            const uint32_t signs = load_u8(src + 74 + part);
            const uint64_t low = kIq3SGrid[load_u8(src + 2 + 2 * part) | (high & 1) << 8];
            const uint64_t grid = low | static_cast<uint64_t>(kIq3SGrid[load_u8(src + 3 + 2 * part) | (high & 2) << 7]) << 32;
            for (int j = 0; j < 8; j++) dst[8 * part + j] = scale * grid_magnitude(grid, j) * grid_sign(signs, j);
        }
    }
}

}  // namespace ponder
