// SPDX-License-Identifier: Apache-2.0
// Q2_K: 2.625 bits a weight; 16 groups of 16 with four-bit scales and minimums.
#include "quant/block_io.hpp"
#include "quant/super_block.hpp"

namespace ponder {

// Block of 84 bytes, 256 elements in 16 groups of 16:
//   0   u8 x 16, one a group: low nibble = scale, high nibble = minimum
//  16   u8 x 64: two runs of 32 bytes, 128 elements each; bit pair n of byte m is the run's element 32n + m
//  80   half d
//  82   half dmin
// value = d * scale * q - dmin * minimum
void decode_q2_k(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 84, dst += 256) {
        const float d = load_half(src + 80), dmin = load_half(src + 82);
        for (int group = 0; group < 16; group++) {
            const int scales = load_u8(src + group);
            const float scale = d * static_cast<float>(scales & 15), min = dmin * static_cast<float>(scales >> 4);
            const std::byte* codes = src + 16 + 32 * (group / 8) + 16 * (group % 2);
            const int shift = 2 * (group / 2 % 4);
            for (int j = 0; j < 16; j++) dst[16 * group + j] = scale * static_cast<float>(load_u8(codes + j) >> shift & 3) - min;
        }
    }
}

void encode_q2_k(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    constexpr SuperShape kShape = {.n_groups = 16, .group_len = 16, .low = 0, .high = 3, .scale_low = 0, .scale_high = 15};
    for (int64_t b = 0; b < n_blocks; b++, dst += 84) {
        const SuperBlock block = encode_affine_super_block(src + 256 * b, importance ? importance + 256 * b : nullptr, kShape);
        for (int group = 0; group < 16; group++) store_u8(dst + group, block.scales[group] | block.mins[group] << 4);
        for (int m = 0; m < 64; m++) {
            const int8_t* q = block.levels + 128 * (m / 32) + m % 32;
            store_u8(dst + 16 + m, q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
        }
        store_u16(dst + 80, block.d);
        store_u16(dst + 82, block.dmin);
    }
}

}  // namespace ponder
