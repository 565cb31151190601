// SPDX-License-Identifier: Apache-2.0
// Q6_K: 6.5625 bits a weight; 16 groups of 16 with signed eight-bit scales.
#include "quant/block_io.hpp"
#include "quant/super_block.hpp"

namespace ponder {

// Block of 210 bytes, 256 elements in 16 groups of 16:
//   0   u8 x 128: two runs of 64 bytes, 128 elements each; byte m holds bits 0-3 of the run's elements m (low nibble) and 64 + m (high)
// 128   u8 x 64: two runs of 32 bytes, 128 elements each; bit pair n of byte m is bits 4-5 of the run's element 32n + m
// 192   i8 x 16: scales
// 208   half d
// value = d * scale * (q - 32)
void decode_q6_k(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 210, dst += 256) {
        const float d = load_half(src + 208);
        for (int group = 0; group < 16; group++) {
            const float scale = d * static_cast<float>(load_i8(src + 192 + group));
            const int run = group / 8, in_run = 16 * (group % 8);
            const std::byte* low = src + 64 * run + in_run % 64;
            const std::byte* high = src + 128 + 32 * run + in_run % 32;
            const int low_shift = in_run < 64 ? 0 : 4, high_shift = 2 * (in_run / 32);
            for (int j = 0; j < 16; j++) {
                const int q = (load_u8(low + j) >> low_shift & 15) | (load_u8(high + j) >> high_shift & 3) << 4;
                dst[16 * group + j] = scale * static_cast<float>(q - 32);
            }
        }
    }
}

void encode_q6_k(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    constexpr SuperShape kShape = {.n_groups = 16, .group_len = 16, .low = -32, .high = 31, .scale_low = -128, .scale_high = 127};
    for (int64_t b = 0; b < n_blocks; b++, dst += 210) {
        const SuperBlock block = encode_linear_super_block(src + 256 * b, importance ? importance + 256 * b : nullptr, kShape);
        for (int run = 0; run < 2; run++) {
            const int8_t* levels = block.levels + 128 * run;
            for (int m = 0; m < 64; m++) store_u8(dst + 64 * run + m, ((levels[m] + 32) & 15) | ((levels[64 + m] + 32) & 15) << 4);
            for (int m = 0; m < 32; m++) {
                uint32_t high = 0;
                for (int n = 0; n < 4; n++) high |= static_cast<uint32_t>((levels[32 * n + m] + 32) >> 4) << (2 * n);
                store_u8(dst + 128 + 32 * run + m, high);
            }
        }
        for (int group = 0; group < 16; group++) store_u8(dst + 192 + group, static_cast<uint8_t>(block.scales[group]));
        store_u16(dst + 208, block.d);
    }
}

}  // namespace ponder
