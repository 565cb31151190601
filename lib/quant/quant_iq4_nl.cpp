// SPDX-License-Identifier: Apache-2.0
// IQ4_NL: four bits a weight into sixteen uneven levels, one scale in 32.
#include "quant/block_io.hpp"
#include "quant/codebook_search.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder {

// Block of 18 bytes, 32 elements:
//   0   half d
//   2   u8 x 16: low nibbles are elements 0-15, high nibbles 16-31
// value = d * level[q]
void decode_iq4_nl(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 18, dst += 32) {
        const float d = load_half(src);
        for (int j = 0; j < 16; j++) {
            const uint8_t codes = load_u8(src + 2 + j);
            dst[j] = d * kIq4Levels[codes & 15];
            dst[j + 16] = d * kIq4Levels[codes >> 4];
        }
    }
}

void encode_iq4_nl(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    static constexpr Codebook kBook = make_codebook(kIq4Levels);
    for (int64_t b = 0; b < n_blocks; b++, dst += 18) {
        uint16_t half = 0;
        int8_t codes[32] = {};
        SearchBlock block;
        if (block.prepare(src + 32 * b, importance ? importance + 32 * b : nullptr, 32)) {
            const Group group = make_group(block.x, block.w, 32);
            const float d = block.round_to_half(search_codebook(group, kBook).scale, &half);
            round_to_codebook(group, kBook, d, codes);
        }
        store_u16(dst, half);
        for (int j = 0; j < 16; j++) store_u8(dst + 2 + j, codes[j] | codes[j + 16] << 4);
    }
}

}  // namespace ponder
