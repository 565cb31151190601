// SPDX-License-Identifier: Apache-2.0
// Q5_0 and Q5_1: five bits a weight, one scale in 32, without and with a minimum.
#include "quant/block_io.hpp"
#include "quant/small_block.hpp"

namespace ponder {

namespace {

// The sixteen bytes of low nibbles and the 32 fifth bits, as both formats lay them out.
void store_levels(const SmallBlock& block, int offset, std::byte* fifth_bits, std::byte* nibbles) {
    uint32_t fifth = 0;
    for (int j = 0; j < 32; j++) fifth |= static_cast<uint32_t>((block.levels[j] + offset) >> 4) << j;
    store_u32(fifth_bits, fifth);
    for (int j = 0; j < 16; j++) {
        const uint32_t low = (block.levels[j] + offset) & 15, high = (block.levels[j + 16] + offset) & 15;
        store_u8(nibbles + j, low | high << 4);
    }
}

}  // namespace

// Q5_0, block of 22 bytes, 32 elements:
//   0   half d
//   2   u32: bit j is bit 4 of element j
//   6   u8 x 16: low nibbles are bits 0-3 of elements 0-15, high nibbles of 16-31
// value = d * (q - 16)
void decode_q5_0(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 22, dst += 32) {
        const float d = load_half(src);
        const uint32_t fifth = load_u32(src + 2);
        for (int j = 0; j < 16; j++) {
            const uint32_t codes = load_u8(src + 6 + j);
            const uint32_t low = (codes & 15) | (fifth >> j & 1) << 4, high = codes >> 4 | (fifth >> (j + 16) & 1) << 4;
            dst[j] = d * static_cast<float>(static_cast<int>(low) - 16);
            dst[j + 16] = d * static_cast<float>(static_cast<int>(high) - 16);
        }
    }
}

// Q5_1, block of 24 bytes, 32 elements:
//   0   half d
//   2   half m
//   4   u32 and 8  u8 x 16: as in Q5_0
// value = d * q + m
void decode_q5_1(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 24, dst += 32) {
        const float d = load_half(src), m = load_half(src + 2);
        const uint32_t fifth = load_u32(src + 4);
        for (int j = 0; j < 16; j++) {
            const uint32_t codes = load_u8(src + 8 + j);
            dst[j] = d * static_cast<float>((codes & 15) | (fifth >> j & 1) << 4) + m;
            dst[j + 16] = d * static_cast<float>(codes >> 4 | (fifth >> (j + 16) & 1) << 4) + m;
        }
    }
}

void encode_q5_0(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    for (int64_t b = 0; b < n_blocks; b++, dst += 22) {
        const SmallBlock block = encode_linear_block(src + 32 * b, importance ? importance + 32 * b : nullptr, -16, 15);
        store_u16(dst, block.d);
        store_levels(block, 16, dst + 2, dst + 6);
    }
}

void encode_q5_1(const float* src, std::byte* dst, int64_t n_blocks, const float* importance) {
    for (int64_t b = 0; b < n_blocks; b++, dst += 24) {
        const SmallBlock block = encode_affine_block(src + 32 * b, importance ? importance + 32 * b : nullptr, 31);
        store_u16(dst, block.d);
        store_u16(dst + 2, block.m);
        store_levels(block, 0, dst + 4, dst + 8);
    }
}

}  // namespace ponder
