// SPDX-License-Identifier: Apache-2.0
// Q1_0: one sign bit a weight, one scale in 128.
#include "quant/block_io.hpp"

namespace ponder {

// Block of 18 bytes, 128 elements:
//   0   half d
//   2   u8 x 16: bit i of byte m is element 8m + i
// value = d where the bit is set, -d where it is clear
void decode_q1_0(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 18, dst += 128) {
        const float d = load_half(src);
        for (int j = 0; j < 128; j++) dst[j] = load_u8(src + 2 + j / 8) >> (j % 8) & 1 ? d : -d;
    }
}

}  // namespace ponder
