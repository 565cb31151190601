// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding: all its scalings reduced to one table of inverse frequencies and one magnitude.
#pragma once

#include <span>
#include <vector>

#include "model/hyper_parameters.hpp"

namespace ponder {

struct RopeTable {
    std::vector<float> inverse_frequencies;  // [n_rot / 2]; angle = position * inverse frequency
    float magnitude = 1.0f;                  // scales cosine and sine
};

// factors: [n_rot / 2] divisors of the frequencies (the tensor rope_freqs, Llama-3's correction), or empty.
RopeTable make_rope_table(const RopeParameters& rope, std::span<const float> factors);

}  // namespace ponder
