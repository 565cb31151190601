// SPDX-License-Identifier: Apache-2.0
// The constant tables that the IQ formats index: magnitude grids, sign patterns, and the non-linear levels of IQ4.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace ponder {

// Magnitudes of 8 neighbouring elements, one byte each, first element in the lowest byte.
extern const std::array<uint64_t, 256> kIq2XxsGrid;
extern const std::array<uint64_t, 512> kIq2XsGrid;
extern const std::array<uint64_t, 1024> kIq2SGrid;

// Magnitudes of 4 neighbouring elements, one byte each, first element in the lowest byte.
extern const std::array<uint32_t, 256> kIq3XxsGrid;
extern const std::array<uint32_t, 512> kIq3SGrid;

// IQ1_S and IQ1_M: 8 neighbouring elements as int8 -1, 0 or 1, first element in the lowest byte.
extern const std::array<uint64_t, 2048> kIq1Grid;
// The same as 8 (element + 1), for arithmetic in bytes.
extern const std::array<uint64_t, 2048> kIq1Steps;

// IQ4_NL and IQ4_XS: value of each 4-bit code before scaling.
inline constexpr std::array<int8_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// A set bit is a minus sign. Seven bits are stored; the eighth makes the number of minus signs even.
constexpr uint32_t iq_signs(uint32_t index) { return index | (static_cast<uint32_t>(std::popcount(index)) & 1u) << 7; }

// Element j of a magnitude or ternary grid entry, and +1 or -1 for bit j of a sign pattern.
inline float grid_magnitude(uint64_t entry, int j) { return static_cast<float>((entry >> (8 * j)) & 0xff); }
inline float grid_ternary(uint64_t entry, int j) { return static_cast<float>(static_cast<int8_t>((entry >> (8 * j)) & 0xff)); }
inline float grid_sign(uint32_t signs, int j) { return (signs >> j) & 1u ? -1.0f : 1.0f; }

}  // namespace ponder
