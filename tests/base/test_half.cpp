// SPDX-License-Identifier: Apache-2.0
// The small float formats: every value of each against its definition, and the rounding of what lies between.
#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

#include "base/half.hpp"

using ponder::bfloat16_to_float;
using ponder::e4m3_to_float;
using ponder::e8m0_to_float;
using ponder::float_to_bfloat16;
using ponder::float_to_half;
using ponder::half_to_float;
using ponder::ue4m3_to_float;

namespace {

// The value that sign, exponent and mantissa define, computed in double; exact for all formats here.
double value_of(uint32_t bits, int exponent_bits, int mantissa_bits, int bias) {
    const uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
    const int exponent = static_cast<int>(bits >> mantissa_bits & ((1u << exponent_bits) - 1));
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                                           : std::ldexp(mantissa + (1u << mantissa_bits), exponent - bias - mantissa_bits);
    return bits >> (exponent_bits + mantissa_bits) & 1 ? -magnitude : magnitude;
}

uint32_t bits_of(float f) { return std::bit_cast<uint32_t>(f); }

}  // namespace

TEST_CASE("half: all 65536 halves widen to their value and narrow back to themselves") {
    int n_wrong = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        const float wide = half_to_float(static_cast<uint16_t>(h));
        const uint16_t back = float_to_half(wide);
        if ((h & 0x7c00) == 0x7c00) {
            const bool is_nan = (h & 0x3ff) != 0;
            n_wrong += is_nan ? !std::isnan(wide) || (back & 0x7c00) != 0x7c00 || (back & 0x3ff) == 0 : !std::isinf(wide) || back != h;
            n_wrong += std::signbit(wide) != (h >> 15 != 0);
        } else {
            n_wrong += static_cast<double>(wide) != value_of(h, 5, 10, 15) || std::signbit(wide) != (h >> 15 != 0) || back != h;
        }
    }
    CHECK(n_wrong == 0);
}

TEST_CASE("half: between neighbours the nearer is taken, and the even one at the midpoint") {
    int n_wrong = 0;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const float low = half_to_float(static_cast<uint16_t>(h));
        // Past the largest half the next step of the grid is 65536, which stands for infinity.
        const float high = h + 1 == 0x7c00 ? 65536.0f : half_to_float(static_cast<uint16_t>(h + 1));
        const float middle = low + (high - low) / 2;
        const uint32_t even = h % 2 == 0 ? h : h + 1;
        for (const uint32_t sign : {0u, 0x8000u}) {
            const auto narrow = [&](float f) { return static_cast<uint32_t>(float_to_half(sign ? -f : f)); };
            n_wrong += narrow(middle) != (even | sign);
            n_wrong += narrow(std::nextafter(middle, 0.0f)) != (h | sign);
            n_wrong += narrow(std::nextafter(middle, 1e9f)) != ((h + 1) | sign);
        }
    }
    CHECK(n_wrong == 0);
}

TEST_CASE("half: what is too large becomes infinite, too small zero, and NaN stays NaN") {
    CHECK(float_to_half(65519.996f) == 0x7bff);
    CHECK(float_to_half(65520.0f) == 0x7c00);
    CHECK(float_to_half(std::numeric_limits<float>::max()) == 0x7c00);
    CHECK(float_to_half(-std::numeric_limits<float>::infinity()) == 0xfc00);
    CHECK(float_to_half(0x1p-25f) == 0);
    CHECK(float_to_half(-0x1p-25f) == 0x8000);
    CHECK(float_to_half(std::nextafter(0x1p-25f, 1.0f)) == 1);
    CHECK(float_to_half(std::numeric_limits<float>::denorm_min()) == 0);
    CHECK(std::isnan(half_to_float(float_to_half(std::numeric_limits<float>::quiet_NaN()))));
    CHECK(std::isnan(half_to_float(float_to_half(std::bit_cast<float>(0x7f800001u)))));  // a payload that narrowing would lose
}

TEST_CASE("bfloat16: widening is exact and narrowing rounds to nearest even") {
    int n_wrong = 0;
    for (uint32_t b = 0; b < 65536; b++) {
        const float wide = bfloat16_to_float(static_cast<uint16_t>(b));
        const uint16_t back = float_to_bfloat16(wide);
        n_wrong += bits_of(wide) != b << 16;
        n_wrong += std::isnan(wide) ? !std::isnan(bfloat16_to_float(back)) : back != b;
        if ((b & 0x7f80) == 0x7f80) continue;
        const uint32_t even = b % 2 == 0 ? b : b + 1;
        n_wrong += float_to_bfloat16(std::bit_cast<float>(b << 16 | 0x8000u)) != even;
        n_wrong += float_to_bfloat16(std::bit_cast<float>(b << 16 | 0x7fffu)) != b;
        n_wrong += float_to_bfloat16(std::bit_cast<float>(b << 16 | 0x8001u)) != b + 1;
    }
    CHECK(n_wrong == 0);
    CHECK(std::isnan(bfloat16_to_float(float_to_bfloat16(std::bit_cast<float>(0x7f800001u)))));
}

TEST_CASE("half: eight-bit floats widen to their value") {
    for (uint32_t e = 0; e < 256; e++) {
        CAPTURE(e);
        const float wide = e4m3_to_float(static_cast<uint8_t>(e));
        CHECK(std::signbit(wide) == (e >= 128));
        if ((e & 0x7f) == 0x7f) {
            CHECK(std::isnan(wide));
        } else {
            CHECK(static_cast<double>(wide) == value_of(e, 4, 3, 7));
            CHECK(ue4m3_to_float(static_cast<uint8_t>(e)) == std::fabs(wide));
        }
        const float power = e8m0_to_float(static_cast<uint8_t>(e));
        if (e == 255) {
            CHECK(std::isinf(power));
        } else {
            CHECK(static_cast<double>(power) == std::ldexp(1.0, static_cast<int>(e) - 127));
        }
    }
    CHECK(e4m3_to_float(0x7e) == 448.0f);
    CHECK(ue4m3_to_float(0x7f) == 0.0f);
    CHECK(ue4m3_to_float(0xff) == 480.0f);
}
