// SPDX-License-Identifier: Apache-2.0
// Frequencies of plain, linearly scaled, YaRN-scaled and per-pair corrected rotary embeddings.
#include "model/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ponder {

namespace {

// Pair index whose wavelength makes n_rotations within the original context (YaRN, arXiv 2309.00071, section 3.2).
double correction_dim(const RopeParameters& rope, double n_rotations) {
    return rope.n_rot * std::log(static_cast<double>(rope.original_context) / (n_rotations * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(double{rope.freq_base}));
}

}  // namespace

RopeTable make_rope_table(const RopeParameters& rope, std::span<const float> factors) {
    RopeTable table;
    const int n_pairs = rope.n_rot / 2;
    double low = 0.0, high = 0.0;
    if (rope.scaling == RopeScaling::kYarn) {
        low = std::max(0.0, std::floor(correction_dim(rope, rope.beta_fast)));
        high = std::min(rope.n_rot - 1.0, std::ceil(correction_dim(rope, rope.beta_slow)));
        if (rope.ext_factor != 0.0f && !rope.has_own_magnitude)
            table.magnitude = rope.attention_factor * (1.0f + 0.1f * std::log(rope.factor));
        else
            table.magnitude = rope.attention_factor;
    }
    for (int i = 0; i < n_pairs; i++) {
        double frequency = std::pow(double{rope.freq_base}, -2.0 * i / rope.n_rot);
        if (!factors.empty()) frequency /= double{factors[static_cast<size_t>(i)]};
        if (rope.scaling == RopeScaling::kLinear) {
            frequency /= double{rope.factor};
        } else if (rope.scaling == RopeScaling::kYarn) {
            // 1: keep the trained frequency; 0: stretch it by the factor.
            const double kept = (1.0 - std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0)) * double{rope.ext_factor};
            frequency = frequency / double{rope.factor} * (1.0 - kept) + frequency * kept;
        }
        table.inverse_frequencies.push_back(static_cast<float>(frequency));
    }
    return table;
}

std::vector<float> llama3_divisors(int64_t head_dim, double freq_base, const Llama3Scaling& scaling) {
    std::vector<float> divisors;
    for (int64_t i = 0; i < head_dim; i += 2) {
        const double wavelength = 2 * std::numbers::pi * std::pow(freq_base, static_cast<double>(i) / static_cast<double>(head_dim));
        const double turns = scaling.original_context / wavelength;
        const double kept = std::clamp((turns - scaling.low_frequency) / (scaling.high_frequency - scaling.low_frequency), 0.0, 1.0);
        divisors.push_back(static_cast<float>(1 / ((1 - kept) / scaling.factor + kept)));
    }
    return divisors;
}

}  // namespace ponder
