// SPDX-License-Identifier: Apache-2.0
// Q3_K: 3.4375 bits a weight; 16 groups of 16 with signed six-bit scales.
#include "quant/block_io.hpp"
#include "quant/super_block.hpp"

namespace ponder {

// Block of 110 bytes, 256 elements in 16 groups of 16:
//   0   u8 x 32: bit 4h + n of byte m is the third bit of element 128h + 32n + m
//  32   u8 x 64: two runs of 32 bytes, 128 elements each; bit pair n of byte m is the low bits of the run's element 32n + m
//  96   u8 x 12: scale i, stored as scale + 32: bits 0-3 in a nibble of byte i % 8 (low nibble for i < 8, else high),
//       bits 4-5 in bit pair i / 4 of byte 8 + i % 4
// 108   half d
// value = d * scale * (q - 4)
void decode_q3_k(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 110, dst += 256) {
        const float d = load_half(src + 108);
        const std::byte* packed = src + 96;
        for (int group = 0; group < 16; group++) {
            const int low = load_u8(packed + group % 8) >> (group < 8 ? 0 : 4) & 15;
            const int high = load_u8(packed + 8 + group % 4) >> (2 * (group / 4)) & 3;
            const float scale = d * static_cast<float>((low | high << 4) - 32);
            const std::byte* codes = src + 32 + 32 * (group / 8) + 16 * (group % 2);
            const std::byte* third = src + 16 * (group % 2);
            const int shift = 2 * (group / 2 % 4), bit = group / 2;
            for (int j = 0; j < 16; j++) {
                const int q = (load_u8(codes + j) >> shift & 3) | (load_u8(third + j) >> bit & 1) << 2;
                dst[16 * group + j] = scale * static_cast<float>(q - 4);
            }
        }
    }
}

void encode_q3_k(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    constexpr SuperShape kShape = {.n_groups = 16, .group_len = 16, .low = -4, .high = 3, .scale_low = -32, .scale_high = 31};
    for (int64_t b = 0; b < n_blocks; b++, dst += 110) {
        const SuperBlock block = encode_linear_super_block(src + 256 * b, importance ? importance + 256 * b : nullptr, kShape);
        for (int m = 0; m < 32; m++) {
            uint32_t third = 0;
            for (int bit = 0; bit < 8; bit++) third |= static_cast<uint32_t>((block.levels[32 * bit + m] + 4) >> 2) << bit;
            store_u8(dst + m, third);
        }
        for (int m = 0; m < 64; m++) {
            uint32_t low = 0;
            for (int n = 0; n < 4; n++) low |= static_cast<uint32_t>((block.levels[128 * (m / 32) + 32 * n + m % 32] + 4) & 3) << (2 * n);
            store_u8(dst + 32 + m, low);
        }
        uint32_t packed[12] = {};
        for (int i = 0; i < 16; i++) {
            const uint32_t scale = static_cast<uint32_t>(block.scales[i] + 32);
            packed[i % 8] |= (scale & 15) << (i < 8 ? 0 : 4);
            packed[8 + i % 4] |= scale >> 4 << (2 * (i / 4));
        }
        for (int i = 0; i < 12; i++) store_u8(dst + 96 + i, packed[i]);
        store_u16(dst + 108, block.d);
    }
}

}  // namespace ponder
