// SPDX-License-Identifier: Apache-2.0
// IQ1_S: 1.5625 bits a weight; ternary groups of 8 from a grid of 2048, one scale and one shift in 32.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 50 bytes, 256 elements:
//   0   half d
//   2   u8 x 32, one per 8 elements: low 8 bits of the grid index
//  34   u16 x 8, one per 32 elements: bits 0-11 = high 3 bits of 4 grid indices, bits 12-14 = scale s, bit 15 = shift is negative
// value = d * (2s + 1) * (g +- 1/8)
void decode_iq1_s(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 50, dst += 256) {
        const float d = load_half(src);
        for (int part = 0; part < 32; part++) {
            const uint32_t qh = load_u16(src + 34 + 2 * (part / 4));
            const float scale = d * static_cast<float>(2 * ((qh >> 12) & 7) + 1);
            const float shift = qh & 0x8000 ? -0.125f : 0.125f;
            const uint32_t high = (qh >> (3 * (part % 4))) & 7;
            const uint64_t grid = kIq1Grid[load_u8(src + 2 + part) | high << 8];
            for (int j = 0; j < 8; j++) dst[8 * part + j] = scale * (grid_ternary(grid, j) + shift);
        }
    }
}

}  // namespace ponder
