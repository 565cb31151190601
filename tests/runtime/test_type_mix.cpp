// SPDX-License-Identifier: Apache-2.0
// The mixes' table against what the field's quantiser chooses; bench/compare_quantiser.py compares whole models with it.
#include "runtime/type_mix.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace ponder;

namespace {

std::string chosen(const char* mix, const MixModel& model, const char* tensor, int64_t n_cols = 256) {
    return choose_type(**find_type_mix(mix), model, place_of(tensor, 2), n_cols).type->name;
}

}  // namespace

TEST_CASE("type_mix: roles and layers from names") {
    CHECK(place_of("blk.12.attn_q.weight", 2).role == TensorRole::kAttnQ);
    CHECK(place_of("blk.12.attn_q.weight", 2).layer == 12);
    CHECK(place_of("blk.0.ffn_down_exps.weight", 3).role == TensorRole::kFfnDownExperts);
    CHECK(place_of("blk.60.attn_kv_b.weight", 2).role == TensorRole::kLatentKvB);
    CHECK(place_of("blk.3.exp_probs_b.bias", 1).role == TensorRole::kBias);
    CHECK(place_of("blk.61.nextn.shared_head_norm.weight", 1).role == TensorRole::kNorm);
    CHECK(place_of("blk.61.nextn.eh_proj.weight", 2).role == TensorRole::kOtherMatrix);
    CHECK(place_of("token_embd.weight", 2).role == TensorRole::kTokenEmbedding);
    CHECK(place_of("output.weight", 2).role == TensorRole::kOutput);
    CHECK(place_of("rope_freqs.weight", 1).role == TensorRole::kRopeFactors);
    for (const char* odd : {"blk.weight", "blk..attn_q.weight", "blk.-1.attn_q.weight", "blk.99999999999.attn_q.weight",
                            "blk.5000.attn_q.weight", "blk.1", "", "weight", "attn_q"}) {
        CAPTURE(odd);
        CHECK(place_of(odd, 2).role == TensorRole::kOther);
    }
    for (const char* kept : {"blk.0.ffn_gate_inp.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.bias", "blk.0.ssm_conv1d.weight"}) {
        CAPTURE(kept);
        CHECK_FALSE(is_quantised_role(place_of(kept, 2).role));
    }
    CHECK_FALSE(is_quantised_role(place_of("blk.0.attn_sinks.weight", 1).role));
}

TEST_CASE("type_mix: latent attention and experts follow the field's rules") {
    const MixModel r1 = {.n_layers = 61, .n_heads = 128, .n_kv_heads = 1, .n_experts = 256};
    CHECK(chosen("Q4_K_M", r1, "blk.0.attn_kv_b.weight") == "Q6_K");
    CHECK(chosen("Q4_K_M", r1, "blk.7.attn_kv_b.weight") == "Q4_K");
    CHECK(chosen("Q4_K_M", r1, "blk.9.ffn_down_exps.weight") == "Q6_K");
    CHECK(chosen("Q4_K_M", r1, "blk.9.ffn_down_shexp.weight") == "Q6_K");
    CHECK(chosen("Q4_K_M", r1, "blk.9.ffn_up_exps.weight") == "Q4_K");
    CHECK(chosen("Q4_K_M", r1, "blk.0.attn_v_b.weight", 512) == "Q4_K");
    CHECK(chosen("Q4_K_M", r1, "blk.0.attn_k_b.weight", 128) == "Q5_0");
    CHECK(chosen("Q2_K", r1, "blk.0.attn_k_b.weight", 128) == "Q4_0");
    CHECK(chosen("Q6_K", r1, "blk.0.attn_k_b.weight", 128) == "Q8_0");
    CHECK(chosen("MXFP4", r1, "blk.5.ffn_up_exps.weight") == "MXFP4");
    CHECK(chosen("MXFP4", r1, "blk.5.ffn_up_shexp.weight") == "Q8_0");
    CHECK(chosen("MXFP4", r1, "blk.5.attn_k_b.weight", 128) == "Q8_0");
}

TEST_CASE("type_mix: eight experts, tied embeddings, 80 layers, importance") {
    const MixModel mixtral = {.n_layers = 32, .n_heads = 32, .n_kv_heads = 8, .n_experts = 8};
    CHECK(chosen("Q4_K_M", mixtral, "blk.9.attn_v.weight") == "Q8_0");
    CHECK(chosen("Q4_0", mixtral, "blk.9.attn_k.weight") == "Q8_0");
    CHECK(chosen("Q2_K", mixtral, "blk.9.attn_output.weight") == "Q5_K");
    CHECK(chosen("F16", mixtral, "blk.9.attn_v.weight") == "F16");
    const MixModel tied = {.n_layers = 28, .n_heads = 12, .n_kv_heads = 2, .has_output = false};
    CHECK(chosen("Q4_K_M", tied, "token_embd.weight") == "Q6_K");
    CHECK(chosen("Q4_0", tied, "token_embd.weight", 64) == "Q8_0");
    const MixModel large = {.n_layers = 80, .n_heads = 64, .n_kv_heads = 8};
    CHECK(chosen("Q3_K_M", large, "blk.40.attn_v.weight") == "Q5_K");
    MixModel plain = {.n_layers = 32, .n_heads = 32, .n_kv_heads = 8};
    CHECK(chosen("IQ4_XS", plain, "blk.0.ffn_down.weight") == "Q5_K");
    CHECK(chosen("Q4_0", plain, "blk.0.ffn_down.weight") == "Q4_0");
    plain.has_importance = true;
    CHECK(chosen("IQ4_XS", plain, "blk.0.ffn_down.weight") == "IQ4_XS");
    CHECK(chosen("Q4_0", plain, "blk.0.ffn_down.weight") == "Q4_1");
    CHECK(chosen("Q4_K_M", {}, "blk.0.attn_v.weight") == "Q6_K");  // a file that says nothing about itself
}

TEST_CASE("type_mix: every mix gives every row length a type that fits and can be made") {
    for (const TypeMix& mix : type_mixes()) {
        for (const int64_t n_cols : {1, 31, 32, 33, 96, 128, 256, 257, 1536}) {
            for (const char* name :
                 {"token_embd.weight", "output.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight", "blk.0.x.weight"}) {
                CAPTURE(mix.name);
                CAPTURE(n_cols);
                const TypeChoice choice = choose_type(mix, {.n_layers = 8, .n_heads = 8, .n_kv_heads = 2}, place_of(name, 2), n_cols);
                CHECK(n_cols % choice.type->block_len == 0);
                CHECK((choice.type->encode != nullptr));
                CHECK((choice.type == choice.wanted) == (n_cols % choice.wanted->block_len == 0));
            }
        }
    }
}
