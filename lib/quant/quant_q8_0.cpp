// SPDX-License-Identifier: Apache-2.0
// Q8_0: whole bytes, one scale in 32.
#include "quant/block_io.hpp"
#include "quant/lanes.hpp"

namespace ponder {

// Block of 34 bytes, 32 elements:
//   0   half d
//   2   i8 x 32
// value = d * q
void decode_q8_0(const std::byte* src, float* dst, int64_t n_blocks) {
    for (int64_t b = 0; b < n_blocks; b++, src += 34, dst += 32) {
        const float d = load_half(src);
        for (int j = 0; j < 32; j++) dst[j] = d * static_cast<float>(load_i8(src + 2 + j));
    }
}

// The scale maps the extreme element to 127: with 255 levels a search would gain nothing worth its time, and this also serves KV caches.
// Weights of elements do not matter then.
void encode_q8_0(const float* src, std::byte* dst, int64_t n_blocks, const float* /*importance*/) {
    constexpr float kLargest = 127 * 65504.0f;
    for (int64_t b = 0; b < n_blocks; b++, src += 32, dst += 34) {
        alignas(16) float x[32];
        float extreme = 0;
        for (int j = 0; j < 32; j++) {
            float v = src[j] == src[j] ? src[j] : 0.0f;
            v = v < kLargest ? v : kLargest;
            x[j] = v > -kLargest ? v : -kLargest;
            const float magnitude = std::fabs(x[j]);
            extreme = magnitude > extreme ? magnitude : extreme;
        }
        const uint16_t half = float_to_half(extreme / 127.0f);
        const float d = half_to_float(half);
        const Float4 inverse = all4(d > 0 ? 1.0f / d : 0.0f);
        store_u16(dst, half);
        for (int j = 0; j < 32; j += 4) {
            const Float4 q = clamp4(round4(load4(x + j) * inverse), all4(-127), all4(127));
            for (int i = 0; i < 4; i++) store_u8(dst + 2 + j + i, static_cast<uint32_t>(static_cast<int32_t>(q[i])));
        }
    }
}

}  // namespace ponder
