// SPDX-License-Identifier: Apache-2.0
// IQ2_S: 2.5625 bits a weight; groups of 8 from a grid of 1024, one scale in 16, a stored sign an element.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 82 bytes, 256 elements:
//   0   half d
//   2   u8 x 32, one per 8 elements: low 8 bits of the grid index
//  34   u8 x 32, one per 8 elements: sign bits
//  66   u8 x 8, one per 32 elements: bit pair i = high 2 bits of the grid index of its i-th 8 elements
//  74   u8 x 8, one per 32 elements: low nibble = scale of the first 16, high nibble = scale of the last 16
// value = d * (s + 1/2) / 4 * magnitude * sign
void decode_iq2_s(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 82, dst += 256) {
        const float d = load_half(src);
        for (int part = 0; part < 32; part++) {
            const uint32_t high = (load_u8(src + 66 + part / 4) >> (2 * (part % 4))) & 3u;
            const uint32_t nibble = (load_u8(src + 74 + part / 4) >> (part & 2 ? 4 : 0)) & 15u;
            const float scale = d * (0.5f + static_cast<float>(nibble)) * 0.25f;
            const uint64_t grid = kIq2SGrid[load_u8(src + 2 + part) | high << 8];
            const uint32_t signs = load_u8(src + 34 + part);
            for (int j = 0; j < 8; j++) dst[8 * part + j] = scale * grid_magnitude(grid, j) * grid_sign(signs, j);
        }
    }
}

}  // namespace ponder
