// SPDX-License-Identifier: Apache-2.0
// TQ1_0: ternary weights, five to a byte.
#include "quant/block_io.hpp"

namespace ponder {

// Block of 54 bytes, 256 elements:
//   0   u8 x 48: five base-3 digits a byte; bytes 0-31 hold elements 0-159 (digit n of byte m is element 32n + m),
//       bytes 32-47 hold elements 160-239 (160 + 16n + m)
//  48   u8 x 4: four digits a byte, elements 240-255 (240 + 4n + m)
//  52   half d
// A byte is the number's fraction of 243 in 256ths, so the first digit is the whole part of 3 * byte / 256, and multiplying the byte by 3
// modulo 256 brings up the next. value = d * (digit - 1)
void decode_tq1_0(const std::byte* src, float* dst, int64_t n_blocks) {
    struct Run {
        int first_byte, n_bytes, n_digits;
    };
    static constexpr Run kRuns[] = {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}};
    for (int64_t b = 0; b < n_blocks; b++, src += 54) {
        const float d = load_half(src + 52);
        for (const Run& run : kRuns) {
            uint32_t power = 1;
            for (int digit = 0; digit < run.n_digits; digit++, power *= 3) {
                for (int m = 0; m < run.n_bytes; m++) {
                    const uint32_t fraction = (load_u8(src + run.first_byte + m) * power) & 0xffu;
                    *dst++ = d * static_cast<float>(static_cast<int>(fraction * 3 >> 8) - 1);
                }
            }
        }
    }
}

}  // namespace ponder
