// SPDX-License-Identifier: Apache-2.0
// What shapes of DeepSeek-V2 and V3 have of their own: latent attention and experts.
#pragma once

#include <cstdint>
#include <string>

#include "format/metadata.hpp"
#include "runtime/synth_shapes.hpp"
#include "runtime/synth_tensor_list.hpp"

namespace ponder::synth {

// The keys of the split layout (attn_k_b and attn_v_b), which files have had since 2025.
void set_latent_parameters(const SynthShape& shape, Metadata& metadata);
void set_expert_parameters(const SynthShape& shape, Metadata& metadata);

// The tensors of layer `layer`, whose names start with `blk`, without its norms at the entry of each branch. `branch_gain`: standard
// deviation of what a branch adds to a residual stream of variance 1.
void add_latent_attention(const SynthShape& shape, const std::string& blk, int32_t layer, float branch_gain, TensorList& list);
void add_experts(const SynthShape& shape, const std::string& blk, int32_t layer, float branch_gain, TensorList& list);

}  // namespace ponder::synth
