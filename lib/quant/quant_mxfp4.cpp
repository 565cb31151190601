// SPDX-License-Identifier: Apache-2.0
// MXFP4: 4-bit floats (E2M1) with a power of two (E8M0) in 32, as in the OCP microscaling specification.
#include <bit>

#include "quant/block_io.hpp"
#include "quant/codebook_search.hpp"
#include "quant/quant_fp4_tables.hpp"

namespace ponder {

// Block of 17 bytes, 32 elements:
//   0   u8: E8M0 scale
//   1   u8 x 16: low nibbles are elements 0-15, high nibbles 16-31
// value = 2^(e - 127) * e2m1(nibble)
void decode_mxfp4(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 17, dst += 32) {
        const uint8_t exponent = load_u8(src);
        // Half the scale, since the levels are doubled; below e = 2 that is subnormal.
        const float half_scale =
            exponent < 2 ? std::bit_cast<float>(0x00200000u << exponent) : e8m0_to_float(static_cast<uint8_t>(exponent - 1));
        for (int j = 0; j < 16; j++) {
            const uint8_t codes = load_u8(src + 1 + j);
            dst[j] = half_scale * kE2m1Doubled[codes & 15];
            dst[j + 16] = half_scale * kE2m1Doubled[codes >> 4];
        }
    }
}

void encode_mxfp4(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    static constexpr Codebook kBook = make_codebook(kE2m1Doubled);
    for (int64_t b = 0; b < n_blocks; b++, dst += 17) {
        int8_t codes[32] = {};
        uint32_t exponent = 0;
        SearchBlock block;
        if (block.prepare(src + 32 * b, importance ? importance + 32 * b : nullptr, 32)) {
            const Group group = make_group(block.x, block.w, 32);
            // The extreme element is in [1/2, 1] and the highest level 12, so only these powers of two can be best.
            float best_scale = 0, best_error = group.sum_wxx;
            for (const float scale : {0x1p-5f, 0x1p-4f, 0x1p-3f}) {
                const float error = round_to_codebook(group, kBook, scale).error;
                if (error > best_error) continue;
                best_error = error;
                best_scale = scale;
            }
            if (best_scale > 0) {
                round_to_codebook(group, kBook, best_scale, codes);
                exponent = (std::bit_cast<uint32_t>(2 * best_scale * block.unit) >> 23) & 0xffu;
            }
        }
        store_u8(dst, exponent);
        for (int j = 0; j < 16; j++) store_u8(dst + 1 + j, codes[j] | codes[j + 16] << 4);
    }
}

}  // namespace ponder
