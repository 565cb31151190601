// SPDX-License-Identifier: Apache-2.0
// For kernels_<isa>.cpp only, which are compiled for processors that may not be there. Everything they define or instantiate is local to
// the file: an inline function of a shared header could be the copy that the linker keeps for all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "activation.hpp"

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

}  // namespace

}  // namespace ponder::cpu
