// SPDX-License-Identifier: Apache-2.0
// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1) as a block of a layer.
#pragma once

#include <cstddef>
#include <string>

#include "model/deepseek_parameters.hpp"
#include "model/weights.hpp"

namespace ponder {

// Tensors of a layer: attn_q, or attn_q_a, attn_q_a_norm and attn_q_b; attn_kv_a_mqa, attn_kv_a_norm; attn_kv_b, or attn_k_b and attn_v_b;
// attn_output. The cache holds kv_lora_rank + n_rope numbers of each token.
class LatentAttention {
  public:
    LatentAttention(ProgramBuilder& program, WeightBinder& weights, const HyperParameters& h, const LatentParameters& latent);

    // The attention branch of a layer for its normed input x. Errors: those of the cache's layout, and the first of the tensors.
    Result<OperandId> add(size_t layer, OperandId x);

  private:
    OperandId add_queries(const std::string& prefix, OperandId x);
    OperandId add_latents(const std::string& prefix, OperandId x);
    OperandId add_mixing(const std::string& prefix, OperandId q, const ponder_kv_params& kv);

    ProgramBuilder& program_;
    WeightBinder& weights_;
    const HyperParameters& h_;
    const LatentParameters& latent_;
    OperandId inverse_frequencies_ = kNoOperand;
    float rope_magnitude_ = 1.0f;
};

}  // namespace ponder
