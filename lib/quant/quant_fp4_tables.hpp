// SPDX-License-Identifier: Apache-2.0
// The sixteen values of E2M1, the element of MXFP4 and NVFP4.
#pragma once

#include <array>
#include <cstdint>

namespace ponder {

// Twice the value of each code, so that all are whole numbers; GGUF's readers halve the scale instead. Negative zero reads as zero.
inline constexpr std::array<int8_t, 16> kE2m1Doubled = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace ponder
