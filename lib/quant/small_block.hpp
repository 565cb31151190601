// SPDX-License-Identifier: Apache-2.0
// Encodes blocks of 32 that have one half-precision scale, and perhaps a minimum, and nothing else.
#pragma once

#include <cstdint>

namespace ponder {

struct SmallBlock {
    uint16_t d = 0, m = 0;   // halves
    int8_t levels[32] = {};  // value = d * level + m
};

// src and importance [32], importance may be null. Levels in [low, high] with low = -high - 1, m = 0.
SmallBlock encode_linear_block(const float* src, const float* importance, int low, int high);

// Levels in [0, high].
SmallBlock encode_affine_block(const float* src, const float* importance, int high);

}  // namespace ponder
