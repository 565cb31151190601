// SPDX-License-Identifier: Apache-2.0
// TQ2_0: ternary weights, four to a byte.
#include "quant/block_io.hpp"

namespace ponder {

// Block of 66 bytes, 256 elements:
//   0   u8 x 64: two runs of 32 bytes, 128 elements each; bit pair n of byte m is the run's element 32n + m
//  64   half d
// value = d * (q - 1), also for q = 3, which no quantiser makes
void decode_tq2_0(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 66) {
        const float d = load_half(src + 64);
        for (int run = 0; run < 64; run += 32) {
            for (int pair = 0; pair < 8; pair += 2) {
                for (int m = 0; m < 32; m++) *dst++ = d * static_cast<float>((load_u8(src + run + m) >> pair & 3) - 1);
            }
        }
    }
}

}  // namespace ponder
