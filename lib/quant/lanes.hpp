// SPDX-License-Identifier: Apache-2.0
// Four floats at a time for the encoders' inner loops; four wide whatever the machine, so that sums have one order.
#pragma once

#include <cstring>

namespace ponder {

using Float4 = float __attribute__((vector_size(16)));

inline Float4 load4(const float* p) {
    Float4 v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline Float4 all4(float x) { return Float4{x, x, x, x}; }
inline float sum4(Float4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }
inline Float4 clamp4(Float4 v, Float4 low, Float4 high) {  // NaN becomes low
    v = v > low ? v : low;
    return v < high ? v : high;
}

// To the nearest whole number, ties to even; exact below 2^22, and past that still a number at least as large in magnitude.
inline Float4 round4(Float4 v) {
    const Float4 magic = all4(12582912.0f);  // 1.5 * 2^23: adding it leaves no fraction bits
    return (v + magic) - magic;
}
inline float round1(float v) { return (v + 12582912.0f) - 12582912.0f; }

}  // namespace ponder
