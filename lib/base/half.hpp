// SPDX-License-Identifier: Apache-2.0
// Small float formats: IEEE half, bfloat16, and the 8-bit scales of block formats; exact widening, round-to-nearest-even narrowing.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ponder {

inline float half_to_float(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 0x1fu;
    const uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
    }
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

inline uint16_t float_to_half(float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f);
    const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to infinity
    if (magnitude < 0x38800000u) {  // half subnormal: adding 0.5 leaves the rounded mantissa in the low bits
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
    }
    const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

inline float bfloat16_to_float(uint16_t b) { return std::bit_cast<float>(static_cast<uint32_t>(b) << 16); }

inline uint16_t float_to_bfloat16(float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
    return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// FP8 E4M3 as of the OCP specification (and safetensors' F8_E4M3): no infinity, all ones is NaN, largest 448.
inline float e4m3_to_float(uint8_t e) {
    const uint32_t sign = static_cast<uint32_t>(e & 0x80u) << 24;
    const uint32_t magnitude = e & 0x7fu;
    if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000u);
    if (magnitude < 8) {
        const float subnormal = static_cast<float>(magnitude) * 0x1p-9f;
        return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(subnormal));
    }
    return std::bit_cast<float>(sign | ((magnitude << 20) + (120u << 23)));
}

// The unsigned E4M3 scale of NVFP4 as GGUF files use it: the top bit is not looked at, except that 0x7f is zero and 0xff is 480.
inline float ue4m3_to_float(uint8_t e) {
    if (e == 0x7f) return 0.0f;
    if (e == 0xff) return 480.0f;
    return e4m3_to_float(e & 0x7fu);
}

// The E8M0 scale of the microscaling formats: a power of two from 2^-127; 255, NaN in the OCP specification, widens to infinity here.
inline float e8m0_to_float(uint8_t e) { return std::bit_cast<float>(e == 0 ? 0x00400000u : static_cast<uint32_t>(e) << 23); }

}  // namespace ponder
