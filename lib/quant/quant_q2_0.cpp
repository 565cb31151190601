// SPDX-License-Identifier: Apache-2.0
// Q2_0: two bits a weight, one scale in 64.
#include "quant/block_io.hpp"

namespace ponder {

// Block of 18 bytes, 64 elements:
//   0   half d
//   2   u8 x 16: bit pair i of byte m is element 4m + i
// value = d * (q - 1)
void decode_q2_0(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 18, dst += 64) {
        const float d = load_half(src);
        for (int j = 0; j < 64; j++) dst[j] = d * static_cast<float>((load_u8(src + 2 + j / 4) >> (2 * (j % 4)) & 3) - 1);
    }
}

}  // namespace ponder
