// SPDX-License-Identifier: Apache-2.0
// The stored types that are plain arrays: floats of all sizes, and whole numbers.
#include <bit>
#include <cstring>

#include "quant/block_io.hpp"

namespace ponder {

// Blocks of one element, little-endian. 64-bit values are rounded to the nearest float32.
void decode_f32(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = std::bit_cast<float>(load_u32(src + 4 * i));
}
void decode_f16(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = load_half(src + 2 * i);
}
void decode_bf16(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = bfloat16_to_float(load_u16(src + 2 * i));
}
void decode_f64(const std::byte* src, float* dst, int64_t n) {
    constexpr double kMax = std::numeric_limits<float>::max();
    for (int64_t i = 0; i < n; i++) {
        const double value = std::bit_cast<double>(load_u64(src + 8 * i));
        // A conversion past float32's range is undefined, so what lies there becomes infinite by hand.
        if (std::fabs(value) > kMax) {
            dst[i] = value < 0 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
        } else {
            dst[i] = static_cast<float>(value);
        }
    }
}
void decode_i8(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = static_cast<float>(load_i8(src + i));
}
void decode_i16(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = static_cast<float>(static_cast<int16_t>(load_u16(src + 2 * i)));
}
void decode_i32(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = static_cast<float>(static_cast<int32_t>(load_u32(src + 4 * i)));
}
void decode_i64(const std::byte* src, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = static_cast<float>(static_cast<int64_t>(load_u64(src + 8 * i)));
}

void encode_f32(const float* src, std::byte* dst, int64_t n, const float* /*importance*/) {
    for (int64_t i = 0; i < n; i++) store_u32(dst + 4 * i, std::bit_cast<uint32_t>(src[i]));
}
void encode_f16(const float* src, std::byte* dst, int64_t n, const float* /*importance*/) {
    for (int64_t i = 0; i < n; i++) store_u16(dst + 2 * i, float_to_half(src[i]));
}
void encode_bf16(const float* src, std::byte* dst, int64_t n, const float* /*importance*/) {
    for (int64_t i = 0; i < n; i++) store_u16(dst + 2 * i, float_to_bfloat16(src[i]));
}

}  // namespace ponder
