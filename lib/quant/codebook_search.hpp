// SPDX-License-Identifier: Apache-2.0
// Rounds groups to the sixteen uneven levels of a four-bit codebook, and finds the scale at which that loses least.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "quant/scale_search.hpp"

namespace ponder {

struct Codebook {
    std::array<int8_t, 16> levels;   // value of each code
    std::array<uint8_t, 512> codes;  // code whose level is nearest to t, at floor(2 t) + 256: midpoints of levels are multiples of 1/2
};

constexpr Codebook make_codebook(const std::array<int8_t, 16>& levels) {
    Codebook book{levels, {}};
    for (int slot = 0; slot < 512; slot++) {
        const int centre = 2 * (slot - 256) + 1;  // of the slot's interval, in quarters
        int best = 1 << 20;
        for (int code = 0; code < 16; code++) {
            const int difference = centre - 4 * levels[static_cast<size_t>(code)];
            const int distance = difference < 0 ? -difference : difference;
            if (distance >= best) continue;
            best = distance;
            book.codes[static_cast<size_t>(slot)] = static_cast<uint8_t>(code);
        }
    }
    return book;
}

// As round_group: x to scale * level. Codes, not levels, are stored where that is not null [n].
Rounding round_to_codebook(const Group& group, const Codebook& book, float scale, int8_t* codes = nullptr);

LinearFit search_codebook(const Group& group, const Codebook& book);

}  // namespace ponder
