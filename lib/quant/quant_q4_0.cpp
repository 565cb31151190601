// SPDX-License-Identifier: Apache-2.0
// Q4_0 and Q4_1: four bits a weight, one scale in 32, without and with a minimum.
#include "quant/block_io.hpp"
#include "quant/small_block.hpp"

namespace ponder {

// Q4_0, block of 18 bytes, 32 elements:
//   0   half d
//   2   u8 x 16: low nibbles are elements 0-15, high nibbles 16-31
// value = d * (q - 8)
void decode_q4_0(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 18, dst += 32) {
        const float d = load_half(src);
        for (int j = 0; j < 16; j++) {
            const int codes = load_u8(src + 2 + j);
            dst[j] = d * static_cast<float>((codes & 15) - 8);
            dst[j + 16] = d * static_cast<float>((codes >> 4) - 8);
        }
    }
}

// Q4_1, block of 20 bytes, 32 elements:
//   0   half d
//   2   half m
//   4   u8 x 16: as in Q4_0
// value = d * q + m
void decode_q4_1(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 20, dst += 32) {
        const float d = load_half(src), m = load_half(src + 2);
        for (int j = 0; j < 16; j++) {
            const int codes = load_u8(src + 4 + j);
            dst[j] = d * static_cast<float>(codes & 15) + m;
            dst[j + 16] = d * static_cast<float>(codes >> 4) + m;
        }
    }
}

void encode_q4_0(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    for (int64_t b = 0; b < n_blocks; b++, dst += 18) {
        const SmallBlock block = encode_linear_block(src + 32 * b, importance ? importance + 32 * b : nullptr, -8, 7);
        store_u16(dst, block.d);
        for (int j = 0; j < 16; j++) store_u8(dst + 2 + j, (block.levels[j] + 8) | (block.levels[j + 16] + 8) << 4);
    }
}

void encode_q4_1(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    for (int64_t b = 0; b < n_blocks; b++, dst += 20) {
        const SmallBlock block = encode_affine_block(src + 32 * b, importance ? importance + 32 * b : nullptr, 15);
        store_u16(dst, block.d);
        store_u16(dst + 2, block.m);
        for (int j = 0; j < 16; j++) store_u8(dst + 4 + j, block.levels[j] | block.levels[j + 16] << 4);
    }
}

}  // namespace ponder
