// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding: all its scalings reduced to one table of inverse frequencies and one magnitude.
#pragma once

#include <cstdint>
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

// Llama 3.1's correction for longer contexts, as rope_freqs holds it.
struct Llama3Scaling {
    double factor;                         // by which long wavelengths are stretched
    double low_frequency, high_frequency;  // turns within original_context: up to low all is stretched, from high on nothing
    double original_context;               // tokens
};

// [head_dim / 2]. Between the two frequencies the stretch goes linearly, in frequency, from one to the other.
std::vector<float> llama3_divisors(int64_t head_dim, double freq_base, const Llama3Scaling& scaling);

}  // namespace ponder
