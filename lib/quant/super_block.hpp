// SPDX-License-Identifier: Apache-2.0
// Encodes blocks of 256 whose groups have small integer scales of their own under one or two half-precision scales (the K-quants).
#pragma once

#include <cstdint>

#include "quant/codebook_search.hpp"

namespace ponder {

struct SuperShape {
    int n_groups, group_len;             // n_groups * group_len = 256
    int low, high;                       // levels of an element, or its codes
    int scale_low, scale_high;           // integer scales of a group; its minimum is in [0, scale_high]
    const Codebook* codebook = nullptr;  // levels are codes of this; null: levels are the numbers themselves
};

// value = d * scales[g] * levels[i] - dmin * mins[g], or the level that levels[i] is the code of; mins and dmin are zero in linear formats.
struct SuperBlock {
    uint16_t d = 0, dmin = 0;  // halves
    int8_t scales[16] = {};    // [n_groups]
    int8_t mins[16] = {};      // [n_groups]
    int8_t levels[256] = {};   // [n_groups, group_len]
};

// src and importance [256], importance may be null. Formats with a minimum have levels from 0 and scales from 0.
SuperBlock encode_affine_super_block(const float* src, const float* importance, const SuperShape& shape);

// Formats without: signed levels and signed scales.
SuperBlock encode_linear_super_block(const float* src, const float* importance, const SuperShape& shape);

}  // namespace ponder
