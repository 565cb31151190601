// SPDX-License-Identifier: Apache-2.0
// IQ1_M: 1.75 bits a weight; ternary groups of 8 from a grid of 2048, one scale in 16, one shift in 8.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 56 bytes, 256 elements:
//   0   u8 x 32, one per 8 elements: low 8 bits of the grid index
//  32   u8 x 16, one nibble per 8 elements: bits 0-2 = high 3 bits of the grid index, bit 3 = shift is negative
//  48   u16 x 4, one per 64 elements: bits 0-11 = 4 x 3-bit scale s (16 elements each), bits 12-15 = a nibble of the half d, lowest first
// value = d * (2s + 1) * (g +- 1/8)
void decode_iq1_m(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 56, dst += 256) {
        uint32_t half = 0;
        for (int i = 0; i < 4; i++) half |= static_cast<uint32_t>(load_u16(src + 48 + 2 * i) >> 12) << (4 * i);
        const float d = half_to_float(static_cast<uint16_t>(half));
        for (int part = 0; part < 32; part++) {
            const uint32_t nibble = load_u8(src + 32 + part / 2) >> (4 * (part % 2));
            const uint32_t s = (load_u16(src + 48 + 2 * (part / 8)) >> (3 * (part / 2 % 4))) & 7u;
            const float scale = d * static_cast<float>(2 * s + 1);
            const float shift = nibble & 8 ? -0.125f : 0.125f;
            const uint64_t grid = kIq1Grid[load_u8(src + part) | (nibble & 7) << 8];
            for (int j = 0; j < 8; j++) dst[8 * part + j] = scale * (grid_ternary(grid, j) + shift);
        }
    }
}

}  // namespace ponder
