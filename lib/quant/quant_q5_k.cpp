// SPDX-License-Identifier: Apache-2.0
// Q5_K: 5.5 bits a weight; 8 groups of 32 with six-bit scales and minimums.
#include "quant/block_io.hpp"
#include "quant/packed_scales.hpp"
#include "quant/super_block.hpp"

namespace ponder {

// Block of 176 bytes, 256 elements in 8 groups of 32:
//   0   half d
//   2   half dmin
//   4   u8 x 12: scales and minimums, see packed_scales.hpp
//  16   u8 x 32: bit g of byte m is the fifth bit of element m of group g
//  48   u8 x 128: of each 32 bytes the low nibbles are one group, the high nibbles the next
// value = d * scale * q - dmin * minimum
void decode_q5_k(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 176, dst += 256) {
        const float d = load_half(src), dmin = load_half(src + 2);
        for (int group = 0; group < 8; group++) {
            const ScaleAndMin packed = load_scale_and_min(src + 4, group);
            const float scale = d * static_cast<float>(packed.scale), min = dmin * static_cast<float>(packed.min);
            const std::byte* codes = src + 48 + 32 * (group / 2);
            const int shift = 4 * (group % 2);
            for (int j = 0; j < 32; j++) {
                const int q = (load_u8(codes + j) >> shift & 15) | (load_u8(src + 16 + j) >> group & 1) << 4;
                dst[32 * group + j] = scale * static_cast<float>(q) - min;
            }
        }
    }
}

void encode_q5_k(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    constexpr SuperShape kShape = {.n_groups = 8, .group_len = 32, .low = 0, .high = 31, .scale_low = 0, .scale_high = 63};
    for (int64_t b = 0; b < n_blocks; b++, dst += 176) {
        const SuperBlock block = encode_affine_super_block(src + 256 * b, importance ? importance + 256 * b : nullptr, kShape);
        store_u16(dst, block.d);
        store_u16(dst + 2, block.dmin);
        store_scales_and_mins(dst + 4, block.scales, block.mins);
        for (int m = 0; m < 32; m++) {
            uint32_t fifth = 0;
            for (int group = 0; group < 8; group++) fifth |= static_cast<uint32_t>(block.levels[32 * group + m] >> 4) << group;
            store_u8(dst + 16 + m, fifth);
        }
        for (int m = 0; m < 128; m++) {
            const int8_t* q = block.levels + 64 * (m / 32) + m % 32;
            store_u8(dst + 48 + m, (q[0] & 15) | (q[32] & 15) << 4);
        }
    }
}

}  // namespace ponder
