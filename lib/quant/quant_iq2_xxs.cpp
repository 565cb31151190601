// SPDX-License-Identifier: Apache-2.0
// IQ2_XXS: 2.0625 bits a weight; groups of 8 from a grid of 256, one scale in 32, signs with even parity.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 66 bytes, 256 elements:
//   0   half d
//   2   8 groups of 32 elements, 8 bytes each:
//         4 x u8 grid index, one per 8 elements
//         u32: bits 0-27 = 4 x 7-bit sign index, bits 28-31 = scale s
// value = d * (s + 1/2) / 4 * magnitude * sign
void decode_iq2_xxs(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 66, dst += 256) {
        const float d = load_half(src);
        for (int group = 0; group < 8; group++) {
            const std::byte* indices = src + 2 + 8 * group;
            const uint32_t aux = load_u32(indices + 4);
            const float scale = d * (0.5f + static_cast<float>(aux >> 28)) * 0.25f;
            for (int part = 0; part < 4; part++) {
                const uint64_t grid = kIq2XxsGrid[load_u8(indices + part)];
                const uint32_t signs = iq_signs((aux >> (7 * part)) & 127);
                float* out = dst + 32 * group + 8 * part;
                for (int j = 0; j < 8; j++) out[j] = scale * grid_magnitude(grid, j) * grid_sign(signs, j);
            }
        }
    }
}

}  // namespace ponder
