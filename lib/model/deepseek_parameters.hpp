// SPDX-License-Identifier: Apache-2.0
// Hyper-parameters of DeepSeek-V2, V3 and R1 beyond those of dense models: latent attention and experts.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "format/model_file.hpp"
#include "model/expert_groups.hpp"
#include "model/hyper_parameters.hpp"

namespace ponder {

struct LatentParameters {
    int64_t q_lora_rank = 0;  // 0: queries are projected at once
    int64_t kv_lora_rank = 0;
    int64_t n_nope = 0, n_rope = 0;  // elements of a head's query and key without and with rotation
    int64_t v_head_dim = 0;
    float scale = 0.0f;  // of attention scores
};

struct ExpertParameters {
    int64_t n_leading_dense = 0;  // layers before the first with experts
    int64_t n_experts = 0, n_used = 0, n_shared = 0;
    int64_t n_ff = 0;    // inner width of one
    int32_t gating = 0;  // ponder_moe_gating
    bool is_normalised = false;
    float scale = 1.0f;
    ExpertGroups groups;
};

struct DeepseekParameters {
    HyperParameters common;
    LatentParameters latent;
    ExpertParameters experts;
};

// Reads `deepseek2.*`. Errors: as read_hyper_parameters.
Result<DeepseekParameters> read_deepseek_parameters(const ModelFile& file);

}  // namespace ponder
