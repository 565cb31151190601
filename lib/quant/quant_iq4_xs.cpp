// SPDX-License-Identifier: Apache-2.0
// IQ4_XS: 4.25 bits a weight; the uneven levels of IQ4_NL in 8 groups of 32 with signed six-bit scales.
#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"
#include "quant/super_block.hpp"

namespace ponder {

// Block of 136 bytes, 256 elements in 8 groups of 32:
//   0   half d
//   2   u16: bit pair g is bits 4-5 of group g's scale, stored as scale + 32
//   4   u8 x 4: nibble g (low nibble first) is bits 0-3 of group g's scale
//   8   u8 x 128, 16 a group: low nibbles are the group's elements 0-15, high nibbles 16-31
// value = d * scale * level[q]
void decode_iq4_xs(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 136) {
        const float d = load_half(src);
        const int high = load_u16(src + 2);
        for (int group = 0; group < 8; group++, dst += 32) {
            const int low = load_u8(src + 4 + group / 2) >> (4 * (group % 2)) & 15;
            const float scale = d * static_cast<float>((low | (high >> (2 * group) & 3) << 4) - 32);
            for (int j = 0; j < 16; j++) {
                const uint8_t codes = load_u8(src + 8 + 16 * group + j);
                dst[j] = scale * kIq4Levels[codes & 15];
                dst[j + 16] = scale * kIq4Levels[codes >> 4];
            }
        }
    }
}

void encode_iq4_xs(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    static constexpr Codebook kBook = make_codebook(kIq4Levels);
    static constexpr SuperShape kShape = {
        .n_groups = 8, .group_len = 32, .low = 0, .high = 15, .scale_low = -32, .scale_high = 31, .codebook = &kBook};
    for (int64_t b = 0; b < n_blocks; b++, dst += 136) {
        const SuperBlock block = encode_linear_super_block(src + 256 * b, importance ? importance + 256 * b : nullptr, kShape);
        uint32_t high = 0, low = 0;
        for (int group = 0; group < 8; group++) {
            const uint32_t scale = static_cast<uint32_t>(block.scales[group] + 32);
            high |= scale >> 4 << (2 * group);
            low |= (scale & 15) << (4 * group);
        }
        store_u16(dst, block.d);
        store_u16(dst + 2, high);
        store_u32(dst + 4, low);
        for (int m = 0; m < 128; m++) {
            const int8_t* codes = block.levels + 32 * (m / 16) + m % 16;
            store_u8(dst + 8 + m, codes[0] | codes[16] << 4);
        }
    }
}

}  // namespace ponder
