// SPDX-License-Identifier: Apache-2.0
// Reads both layouts of deepseek2 metadata: with head sizes as they are, or with those of the absorbed form beside `*_mla` keys.
#include "model/deepseek_parameters.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/limits.hpp"
#include "model/key_reader.hpp"

namespace ponder {

namespace {

LatentParameters read_latent(KeyReader& keys, HyperParameters& h) {
    LatentParameters latent;
    latent.q_lora_rank = keys.integer("attention.q_lora_rank", 0, limits::kMaxWidth, 0);
    latent.kv_lora_rank = keys.integer("attention.kv_lora_rank", 1, limits::kMaxWidth);
    const int64_t head_dim = keys.integer("attention.key_length_mla", 1, limits::kMaxWidth, h.k_head_dim);
    latent.v_head_dim = keys.integer("attention.value_length_mla", 1, limits::kMaxWidth, h.v_head_dim);
    latent.n_rope = h.rope.n_rot;
    latent.n_nope = head_dim - latent.n_rope;
    if (latent.n_nope <= 0) {
        keys.fail(make_error(PONDER_STATUS_FORMAT, "deepseek2: heads of %lld leave nothing beside %lld rotated elements",
                             static_cast<long long>(head_dim), static_cast<long long>(latent.n_rope)));
    }
    const int64_t widest = std::max(h.n_heads[0] * head_dim, h.n_heads[0] * (latent.n_nope + latent.v_head_dim));
    if (widest > limits::kMaxWidth) {
        keys.fail(make_error(PONDER_STATUS_LIMIT, "deepseek2: attention is %lld wide, the limit is %lld", static_cast<long long>(widest),
                             static_cast<long long>(limits::kMaxWidth)));
    }
    // YaRN for DeepSeek: the scores grow with the square of 0.1 * mscale_all_dim * ln(factor) + 1; what the rotation's magnitude would
    // add is the file's attention factor alone.
    float magnitude = 1.0f;
    if (h.rope.scaling == RopeScaling::kYarn) {
        magnitude += keys.real("rope.scaling.yarn_log_multiplier", -1e-6f, 1e3f, 0.0f) * std::log(h.rope.factor);
        h.rope.has_own_magnitude = true;
    }
    latent.scale = magnitude * magnitude / std::sqrt(static_cast<float>(head_dim));
    // From here on a head is what the model computes with, whatever the file's layout.
    h.k_head_dim = head_dim;
    h.v_head_dim = latent.v_head_dim;
    return latent;
}

ExpertParameters read_experts(KeyReader& keys, const HyperParameters& h, int64_t n_blocks) {
    ExpertParameters experts;
    experts.n_leading_dense = keys.integer("leading_dense_block_count", 0, n_blocks, 0);
    if (experts.n_leading_dense >= h.n_layers && h.n_next_layers == 0) return experts;
    experts.n_experts = keys.integer("expert_count", 1, limits::kMaxExperts);
    experts.n_used = keys.integer("expert_used_count", 1, experts.n_experts);
    experts.n_shared = keys.integer("expert_shared_count", 0, limits::kMaxExperts, 0);
    experts.n_ff = keys.integer("expert_feed_forward_length", 1, limits::kMaxWidth);
    experts.gating = static_cast<int32_t>(keys.integer("expert_gating_func", 1, 2, 1));
    experts.is_normalised = keys.boolean("expert_weights_norm", false);
    experts.scale = keys.real("expert_weights_scale", 0.0f, 1e6f, 1.0f);
    if (experts.n_shared * experts.n_ff > limits::kMaxWidth) {
        keys.fail(make_error(PONDER_STATUS_LIMIT, "deepseek2.expert_shared_count %lld times the experts' width is over the limit of %lld",
                             static_cast<long long>(experts.n_shared), static_cast<long long>(limits::kMaxWidth)));
    }
    return experts;
}

}  // namespace

Result<DeepseekParameters> read_deepseek_parameters(const ModelFile& file) {
    auto common = read_hyper_parameters(file.metadata, "deepseek2");
    if (!common) return common.error();
    DeepseekParameters p;
    p.common = std::move(*common);
    HyperParameters& h = p.common;
    const int64_t n_blocks = h.n_layers;
    KeyReader keys(file.metadata, "deepseek2.");
    h.n_next_layers = keys.integer("nextn_predict_layers", 0, n_blocks - 1, 0);
    h.n_layers -= h.n_next_layers;
    for (const int64_t n_heads : h.n_heads) {
        if (n_heads != h.n_heads[0]) return make_error(PONDER_STATUS_UNSUPPORTED, "deepseek2.attention.head_count differs between layers");
    }
    p.latent = read_latent(keys, h);
    p.experts = read_experts(keys, h, n_blocks);
    if (keys.failure()) return *keys.failure();
    if (p.experts.n_experts > 0) {
        auto groups = read_expert_groups(file, "deepseek2", p.experts.n_experts, p.experts.n_used);
        if (!groups) return groups.error();
        p.experts.groups = *groups;
    }
    // What the cache holds of a token: one latent and one rotated key for all heads.
    for (int64_t& n : h.n_kv_heads) n = 1;
    return p;
}

}  // namespace ponder
