// SPDX-License-Identifier: Apache-2.0
// IQ2_XS: 2.3125 bits a weight; groups of 8 from a grid of 512, one scale in 16, signs with even parity.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 74 bytes, 256 elements:
//   0   half d
//   2   u16 x 32, one per 8 elements: bits 0-8 = grid index, bits 9-15 = sign index
//  66   u8 x 8, one per 32 elements: low nibble = scale of the first 16, high nibble = scale of the last 16
// value = d * (s + 1/2) / 4 * magnitude * sign
void decode_iq2_xs(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 74, dst += 256) {
        const float d = load_half(src);
        for (int part = 0; part < 32; part++) {
            const uint32_t code = load_u16(src + 2 + 2 * part);
            const uint32_t nibble = (load_u8(src + 66 + part / 4) >> (part & 2 ? 4 : 0)) & 15u;
            const float scale = d * (0.5f + static_cast<float>(nibble)) * 0.25f;
            const uint64_t grid = kIq2XsGrid[code & 511];
            const uint32_t signs = iq_signs(code >> 9);
            for (int j = 0; j < 8; j++) dst[8 * part + j] = scale * grid_magnitude(grid, j) * grid_sign(signs, j);
        }
    }
}

}  // namespace ponder
