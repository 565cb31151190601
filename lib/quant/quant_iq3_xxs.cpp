// SPDX-License-Identifier: Apache-2.0
// IQ3_XXS: 3.0625 bits a weight; groups of 4 from a grid of 256, one scale in 32, signs with even parity.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 98 bytes, 256 elements:
//   0   half d
//   2   u8 x 64, one per 4 elements: grid index
//  66   u32 x 8, one per 32 elements: bits 0-27 = 4 x 7-bit sign index (8 elements each), bits 28-31 = scale s
// value = d * (s + 1/2) / 2 * magnitude * sign
void decode_iq3_xxs(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 98, dst += 256) {
        const float d = load_half(src);
        for (int part = 0; part < 32; part++) {
            const uint32_t aux = load_u32(src + 66 + 4 * (part / 4));
            const float scale = d * (0.5f + static_cast<float>(aux >> 28)) * 0.5f;
            const uint32_t signs = iq_signs((aux >> (7 * (part % 4))) & 127);
            const uint64_t low = kIq3XxsGrid[load_u8(src + 2 + 2 * part)];
            const uint64_t grid = low | static_cast<uint64_t>(kIq3XxsGrid[load_u8(src + 3 + 2 * part)]) << 32;
            for (int j = 0; j < 8; j++) dst[8 * part + j] = scale * grid_magnitude(grid, j) * grid_sign(signs, j);
        }
    }
}

}  // namespace ponder
