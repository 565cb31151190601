// SPDX-License-Identifier: Apache-2.0
// Metadata and tensors of latent attention and experts, and how experts scale with a shape.
#include "runtime/synth_deepseek.hpp"

#include <algorithm>
#include <cmath>

namespace ponder::synth {
namespace {

constexpr uint32_t kSoftmaxGating = 1, kSigmoidGating = 2;  // {architecture}.expert_gating_func

// Standard deviation of the router's logits: far enough apart that rounding rarely changes the choice, near enough that sigmoids do not
// saturate and that a softmax is no choice of one expert.
constexpr float kSigmoidRouterGain = 1.0f, kSoftmaxRouterGain = 1.5f;
constexpr float kSelectionBias = 0.05f;  // its standard deviation: changes some choices, decides none
// Root of the sum of the squares of V2-Lite's used weights (6 of 64, not normalised) at that gain, measured.
constexpr float kSoftmaxWeightsRms = 0.28f;

class KeyWriter {
  public:
    KeyWriter(const SynthShape& shape, Metadata& metadata) : prefix_(std::string(shape.architecture) + "."), metadata_(metadata) {}
    void u32(const char* key, int32_t value) { metadata_.set(prefix_ + key, Value::from_u32(static_cast<uint32_t>(value))); }
    void f32(const char* key, float value) { metadata_.set(prefix_ + key, Value::from_f32(value)); }
    void boolean(const char* key, bool value) { metadata_.set(prefix_ + key, Value::from_bool(value)); }

  private:
    std::string prefix_;
    Metadata& metadata_;
};

// For experts.n_experts and n_used, from the groups of the whole shape; see resize_shape.
void resize_groups(ExpertShape& experts) {
    const int32_t n_groups = experts.n_groups, n_groups_used = experts.n_groups_used;
    experts.n_groups = experts.n_groups_used = 1;
    for (int32_t n = std::min(n_groups, experts.n_experts / 2); n > 1; --n) {
        if (experts.n_experts % n != 0) continue;
        const int32_t n_per_group = experts.n_experts / n;
        const int32_t n_needed = (experts.n_used + n_per_group - 1) / n_per_group;
        const int32_t n_used = std::max({1, n * n_groups_used / n_groups, n_needed});
        if (n_used >= n) continue;
        experts.n_groups = n;
        experts.n_groups_used = n_used;
        return;
    }
}

}  // namespace

Result<SynthShape> resize_shape(const SynthShape& shape, int32_t n_layers, int32_t n_experts) {
    SynthShape resized = shape;
    if (n_layers > 0) resized.n_layers = n_layers;
    ExpertShape& experts = resized.experts;
    if (n_experts > 0 && experts.n_experts == 0) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_experts is %d, but shape %s has no experts", n_experts, shape.name);
    }
    if (n_experts == 1) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_experts is 1; it must be at least 2");
    if (experts.n_experts == 0) return resized;
    experts.n_leading_dense = std::clamp(resized.n_layers / 16, 1, experts.n_leading_dense);
    if (n_experts > 0 && n_experts != experts.n_experts) {
        experts.n_experts = n_experts;
        experts.n_used = std::min(experts.n_used, n_experts);
        resize_groups(experts);
    }
    return resized;
}

void set_latent_parameters(const SynthShape& shape, Metadata& metadata) {
    const LatentShape& latent = shape.latent;
    KeyWriter keys(shape, metadata);
    keys.u32("vocab_size", shape.n_vocab);
    if (latent.q_rank > 0) keys.u32("attention.q_lora_rank", latent.q_rank);
    keys.u32("attention.kv_lora_rank", latent.kv_rank);
    // As the cache has them: the latent and the rotated key are the key, the latent is the value.
    keys.u32("attention.key_length", latent.kv_rank + latent.rope_dim);
    keys.u32("attention.value_length", latent.kv_rank);
    keys.u32("attention.key_length_mla", latent.nope_dim + latent.rope_dim);
    keys.u32("attention.value_length_mla", latent.v_dim);
    keys.u32("rope.dimension_count", latent.rope_dim);
}

void set_expert_parameters(const SynthShape& shape, Metadata& metadata) {
    const ExpertShape& experts = shape.experts;
    KeyWriter keys(shape, metadata);
    keys.u32("leading_dense_block_count", experts.n_leading_dense);
    keys.u32("expert_feed_forward_length", experts.n_ff);
    keys.u32("expert_count", experts.n_experts);
    keys.u32("expert_used_count", experts.n_used);
    keys.u32("expert_shared_count", experts.n_shared);
    keys.u32("expert_group_count", experts.n_groups);
    keys.u32("expert_group_used_count", experts.n_groups_used);
    keys.u32("expert_gating_func", static_cast<int32_t>(experts.is_sigmoid ? kSigmoidGating : kSoftmaxGating));
    keys.f32("expert_weights_scale", experts.weights_scale);
    keys.boolean("expert_weights_norm", experts.is_normalised);
}

void add_latent_attention(const SynthShape& shape, const std::string& blk, int32_t layer, float branch_gain, TensorList& list) {
    const LatentShape& latent = shape.latent;
    const int64_t n_embd = shape.n_embd, q_width = int64_t{shape.n_heads} * (latent.nope_dim + latent.rope_dim);
    if (latent.q_rank > 0) {
        list.add_matrix(blk + "attn_q_a.weight", TensorRole::kLatentQA, layer, n_embd, latent.q_rank);
        list.add_norm(blk + "attn_q_a_norm.weight", layer, latent.q_rank);
        list.add_matrix(blk + "attn_q_b.weight", TensorRole::kLatentQB, layer, latent.q_rank, q_width);
    } else {
        list.add_matrix(blk + "attn_q.weight", TensorRole::kAttnQ, layer, n_embd, q_width);
    }
    list.add_matrix(blk + "attn_kv_a_mqa.weight", TensorRole::kLatentKvA, layer, n_embd, latent.kv_rank + latent.rope_dim);
    list.add_norm(blk + "attn_kv_a_norm.weight", layer, latent.kv_rank);
    // Stored so that it maps queries to the latent; what must keep its size is the key, which it makes of the latent.
    const float k_gain = std::sqrt(static_cast<float>(latent.nope_dim) / static_cast<float>(latent.kv_rank));
    list.add_matrices(blk + "attn_k_b.weight", TensorRole::kLatentKB, layer, latent.nope_dim, latent.kv_rank, shape.n_heads, k_gain);
    list.add_matrices(blk + "attn_v_b.weight", TensorRole::kLatentVB, layer, latent.kv_rank, latent.v_dim, shape.n_heads);
    list.add_matrix(blk + "attn_output.weight", TensorRole::kAttnOutput, layer, int64_t{shape.n_heads} * latent.v_dim, n_embd, branch_gain);
}

void add_experts(const SynthShape& shape, const std::string& blk, int32_t layer, float branch_gain, TensorList& list) {
    const ExpertShape& experts = shape.experts;
    const int64_t n_embd = shape.n_embd, n_ff = experts.n_ff, n_shared_ff = n_ff * experts.n_shared;
    // Half of the branch's variance comes from the routed experts, whose outputs are independent, half from the shared ones.
    const float half = std::sqrt(0.5f);
    const float weights_rms =
        experts.weights_scale * (experts.is_normalised ? 1.0f / std::sqrt(static_cast<float>(experts.n_used)) : kSoftmaxWeightsRms);

    list.add_matrix(blk + "ffn_gate_inp.weight", TensorRole::kRouter, layer, n_embd, experts.n_experts,
                    experts.is_sigmoid ? kSigmoidRouterGain : kSoftmaxRouterGain);
    if (experts.is_sigmoid) list.add_vector(blk + "exp_probs_b.bias", TensorRole::kBias, layer, experts.n_experts, 0.0f, kSelectionBias);
    list.add_matrices(blk + "ffn_gate_exps.weight", TensorRole::kFfnGateExperts, layer, n_embd, n_ff, experts.n_experts);
    list.add_matrices(blk + "ffn_up_exps.weight", TensorRole::kFfnUpExperts, layer, n_embd, n_ff, experts.n_experts);
    list.add_matrices(blk + "ffn_down_exps.weight", TensorRole::kFfnDownExperts, layer, n_ff, n_embd, experts.n_experts,
                      branch_gain * half / weights_rms);
    list.add_matrix(blk + "ffn_gate_shexp.weight", TensorRole::kFfnGateShared, layer, n_embd, n_shared_ff);
    list.add_matrix(blk + "ffn_up_shexp.weight", TensorRole::kFfnUpShared, layer, n_embd, n_shared_ff);
    list.add_matrix(blk + "ffn_down_shexp.weight", TensorRole::kFfnDownShared, layer, n_shared_ff, n_embd, branch_gain * half);
}

}  // namespace ponder::synth
