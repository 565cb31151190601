// SPDX-License-Identifier: Apache-2.0
// The twelve bytes in which Q4_K and Q5_K keep eight six-bit scales and eight six-bit minimums.
#pragma once

#include "quant/block_io.hpp"

namespace ponder {

// Byte i (0-3):      bits 0-5 scale i,        bits 6-7 = bits 4-5 of scale 4 + i
// Byte 4 + i:        bits 0-5 minimum i,      bits 6-7 = bits 4-5 of minimum 4 + i
// Byte 8 + i:        bits 0-3 of scale 4 + i, bits 4-7 = bits 0-3 of minimum 4 + i
struct ScaleAndMin {
    int scale, min;  // [0, 63]
};

inline ScaleAndMin load_scale_and_min(const std::byte* packed, int group) {
    if (group < 4) return {load_u8(packed + group) & 63, load_u8(packed + 4 + group) & 63};
    const int low = load_u8(packed + 4 + group);
    return {(low & 15) | load_u8(packed + group - 4) >> 6 << 4, low >> 4 | load_u8(packed + group) >> 6 << 4};
}

inline void store_scales_and_mins(std::byte* packed, const int8_t* scales, const int8_t* mins) {
    for (int i = 0; i < 4; i++) {
        store_u8(packed + i, scales[i] | scales[4 + i] >> 4 << 6);
        store_u8(packed + 4 + i, mins[i] | mins[4 + i] >> 4 << 6);
        store_u8(packed + 8 + i, (scales[4 + i] & 15) | (mins[4 + i] & 15) << 4);
    }
}

}  // namespace ponder
