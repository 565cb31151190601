// SPDX-License-Identifier: Apache-2.0
// The forward pass of a tiny Hugging Face model in float64, written from the papers and sharing nothing with the library.
#pragma once

#include "hf_models.hpp"

namespace ponder_test {

struct HfLogits {
    std::vector<double> values;  // [n_tokens, n_vocab]
    // How far the last chosen expert or group was from the first one left out, at worst; another engine's choices are the same if its
    // rounding is far smaller. Infinite without experts.
    double smallest_margin;
};

HfLogits reference_logits(const HfModel& model, const std::vector<int32_t>& tokens);

}  // namespace ponder_test
