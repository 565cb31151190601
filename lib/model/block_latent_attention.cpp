// SPDX-License-Identifier: Apache-2.0
// Emits queries, the latent and its rotated key, the cache write and the attention over latents.
#include "model/block_latent_attention.hpp"

#include <utility>

#include "model/decoder.hpp"
#include "model/rope.hpp"

namespace ponder {

LatentAttention::LatentAttention(ProgramBuilder& program, WeightBinder& weights, const HyperParameters& h, const LatentParameters& latent)
    : program_(program), weights_(weights), h_(h), latent_(latent) {
    RopeTable table = make_rope_table(h.rope, {});
    rope_magnitude_ = table.magnitude;
    inverse_frequencies_ = program_.add_constant("rope.inverse_frequencies", std::move(table.inverse_frequencies));
}

OperandId LatentAttention::add_queries(const std::string& prefix, OperandId x) {
    const int64_t n_heads = h_.n_heads[0], head_dim = latent_.n_nope + latent_.n_rope;
    OperandId q = kNoOperand;
    if (latent_.q_lora_rank == 0) {
        q = add_projection(program_, weights_, prefix + "attn_q", x, h_.n_embd, n_heads * head_dim, "query");
    } else {
        const OperandId low = add_projection(program_, weights_, prefix + "attn_q_a", x, h_.n_embd, latent_.q_lora_rank, "query latent");
        const OperandId norm = weights_.vector(prefix + "attn_q_a_norm.weight", latent_.q_lora_rank);
        if (weights_.failure()) return kNoOperand;
        program_.rms_norm_first(low, norm, h_.rms_epsilon);
        q = add_projection(program_, weights_, prefix + "attn_q_b", low, latent_.q_lora_rank, n_heads * head_dim, "query");
    }
    if (weights_.failure()) return kNoOperand;
    program_.rope(q, inverse_frequencies_,
                  {.n_heads = static_cast<int32_t>(n_heads),
                   .head_dim = static_cast<int32_t>(head_dim),
                   .n_rot = static_cast<int32_t>(latent_.n_rope),
                   .style = PONDER_ROPE_ADJACENT,
                   .magnitude = rope_magnitude_,
                   .n_before = static_cast<int32_t>(latent_.n_nope)});
    return q;
}

OperandId LatentAttention::add_latents(const std::string& prefix, OperandId x) {
    const int64_t width = latent_.kv_lora_rank + latent_.n_rope;
    const OperandId latents = add_projection(program_, weights_, prefix + "attn_kv_a_mqa", x, h_.n_embd, width, "latent");
    const OperandId norm = weights_.vector(prefix + "attn_kv_a_norm.weight", latent_.kv_lora_rank);
    if (weights_.failure()) return kNoOperand;
    program_.rms_norm_first(latents, norm, h_.rms_epsilon);
    program_.rope(latents, inverse_frequencies_,
                  {.n_heads = 1,
                   .head_dim = static_cast<int32_t>(width),
                   .n_rot = static_cast<int32_t>(latent_.n_rope),
                   .style = PONDER_ROPE_ADJACENT,
                   .magnitude = rope_magnitude_,
                   .n_before = static_cast<int32_t>(latent_.kv_lora_rank)});
    return latents;
}

OperandId LatentAttention::add_mixing(const std::string& prefix, OperandId q, const ponder_kv_params& kv) {
    const int64_t n_heads = h_.n_heads[0];
    OperandId k_b = kNoOperand, v_b = kNoOperand;
    // A file may hold the maps both ways; the combined ones are then those that it was made from.
    if (weights_.has(prefix + "attn_kv_b.weight") || !weights_.has(prefix + "attn_k_b.weight")) {
        k_b = weights_.matrix(prefix + "attn_kv_b.weight", latent_.kv_lora_rank, n_heads * (latent_.n_nope + latent_.v_head_dim));
    } else {
        k_b = weights_.matrices(prefix + "attn_k_b.weight", latent_.n_nope, latent_.kv_lora_rank, n_heads);
        v_b = weights_.matrices(prefix + "attn_v_b.weight", latent_.kv_lora_rank, latent_.v_head_dim, n_heads);
    }
    if (weights_.failure()) return kNoOperand;
    const OperandId mixed = program_.mla_attention(q, k_b, v_b,
                                                   {.kv = kv,
                                                    .n_heads = static_cast<int32_t>(n_heads),
                                                    .n_nope = static_cast<int32_t>(latent_.n_nope),
                                                    .n_rope = static_cast<int32_t>(latent_.n_rope),
                                                    .n_latent = static_cast<int32_t>(latent_.kv_lora_rank),
                                                    .v_head_dim = static_cast<int32_t>(latent_.v_head_dim),
                                                    .scale = latent_.scale});
    return add_projection(program_, weights_, prefix + "attn_output", mixed, n_heads * latent_.v_head_dim, h_.n_embd, "attention output");
}

Result<OperandId> LatentAttention::add(size_t layer, OperandId x) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const OperandId q = add_queries(prefix, x);
    const OperandId latents = add_latents(prefix, x);
    if (weights_.failure()) return *weights_.failure();
    const auto kv = program_.kv().add_layer(latent_.kv_lora_rank + latent_.n_rope, 0);
    if (!kv) return kv.error();
    program_.kv_write(latents, kNoOperand, *kv);
    const OperandId out = add_mixing(prefix, q, *kv);
    if (weights_.failure()) return *weights_.failure();
    return out;
}

}  // namespace ponder
