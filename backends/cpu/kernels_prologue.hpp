// SPDX-License-Identifier: Apache-2.0
// For kernels_<isa>.cpp only, which are compiled for processors that may not be there. Everything they define or instantiate is local to
// the file: an inline function of a shared header could be the copy that the linker keeps for all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "activation.hpp"
#include "quant/quant_iq_tables.hpp"

namespace ponder::cpu {

namespace {

inline void copy_bytes(void* dst, const void* src, size_t n) { __builtin_memcpy(dst, src, n); }

template <class T>
inline T copy(const void* p) {
    T x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
}

template <class To, class From>
inline To from_bits(From x) {
    static_assert(sizeof(To) == sizeof(From));
    return copy<To>(&x);
}

// IEEE half at p, any alignment.
inline float half_at(const void* p) {
#if defined(__F16C__) || defined(__AVX512F__)
    return _cvtsh_ss(copy<uint16_t>(p));
#elif defined(__aarch64__)
    return static_cast<float>(copy<__fp16>(p));
#else
    const uint16_t h = copy<uint16_t>(p);
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, mantissa = h & 0x3ffu, exponent = h >> 10 & 31u;
    if (exponent == 31) return from_bits<float>(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) {
        const float small = static_cast<float>(mantissa) * 0x1p-24f;
        return sign != 0 ? -small : small;
    }
    return from_bits<float>(sign | (exponent + 112) << 23 | mantissa << 13);
#endif
}

// F8_E4M3 as a half-precision number 2^-8 times as large, which has one exponent bit more and the same mantissa at the top of a longer one.
inline uint16_t f8_half(uint8_t x) {
    const auto bits = static_cast<uint16_t>((x & 0x80) << 8 | (x & 0x7f) << 7);
    return (x & 0x7f) == 0x7f ? static_cast<uint16_t>(bits | 0x7e00) : bits;  // the only two that are no numbers
}

// Calls body.operator()<k>() for k of [0, n).
template <int n, int k = 0, class Body>
inline __attribute__((always_inline)) void unrolled(const Body& body) {
    if constexpr (k < n) {
        body.template operator()<k>();
        unrolled<n, k + 1>(body);
    }
}

// The codes of eight scales and eight minimums, a byte each, of the 16 bytes at p that Q4_K and Q5_K begin with.
struct GroupCodes {
    explicit GroupCodes(const uint8_t* p) {
        const uint32_t a = copy<uint32_t>(p + 4), b = copy<uint32_t>(p + 8), c = copy<uint32_t>(p + 12);
        constexpr uint32_t kLow = 0x3f3f3f3f, kNibbles = 0x0f0f0f0f, kPairs = 0x03030303;
        scales = (a & kLow) | uint64_t{(c & kNibbles) | (a >> 6 & kPairs) << 4} << 32;
        mins = (b & kLow) | uint64_t{(c >> 4 & kNibbles) | (b >> 6 & kPairs) << 4} << 32;
    }
    uint64_t scales, mins;
};

}  // namespace

}  // namespace ponder::cpu
