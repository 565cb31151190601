// SPDX-License-Identifier: Apache-2.0
// config.json of a Hugging Face model in terms of GGUF's keys.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "format/metadata.hpp"

namespace ponder::hf {

// What the list of a model's tensors depends on.
struct Config {
    std::string architecture;  // GGUF's name: "llama", "qwen2", "qwen3", "deepseek2"
    int64_t n_layers = 0, n_next_layers = 0;
    int64_t n_vocab = 0, n_embd = 0, n_ff = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0;
    bool is_tied = false;      // the head is the embedding
    bool has_biases = false;   // Q, K and V have some
    bool has_qk_norm = false;  // heads of Q and K are normalised
    bool is_latent = false;    // latent attention, and perhaps experts; only then:
    int64_t q_lora_rank = 0, kv_lora_rank = 0, nope_dim = 0, rope_dim = 0, v_dim = 0;
    int64_t n_leading_dense = 0, n_experts = 0, n_shared = 0, n_expert_ff = 0;
    bool has_selection_bias = false;
    // How weights are stored according to the config; names of QuantTypes.
    std::string stored_type = "BF16";
    bool has_f8 = false;               // projections are F8_E4M3 with factors
    std::vector<float> rope_divisors;  // [head_dim / 2], of llama3's rope scaling; else empty
};

// Checks config.json and writes general.architecture and the architecture's keys, but for block_count and nextn_predict_layers, which
// set_layer_count() writes. deepseek2 gets the keys of files with a combined attn_kv_b; llama gets ponder.rope.halves.
//
// Models: llama, qwen2, qwen3, deepseek_v2, deepseek_v3. Errors, with the field's name: FORMAT (missing, wrong type, contradictory), LIMIT,
// UNSUPPORTED (another model_type, and settings that the engine does not compute: nothing that changes results is passed over).
Result<Config> read_config(const nlohmann::json& config, Metadata& metadata);

void set_layer_count(const Config& config, Metadata& metadata);

// rope_theta, and rope_scaling or rope_parameters, as {architecture}.rope.* keys; llama3's correction as config.rope_divisors.
//
// YaRN's magnitude is what transformers computes (attention_factor, or mscale over mscale_all_dim, or 0.1 ln(factor) + 1), times
// `attn_factor`, which vLLM takes as a multiplier and transformers passes over: R1-0528-Qwen3-8B has it so that the product is 1.
Result<void> read_rope(const nlohmann::json& json, Config& config, Metadata& metadata);

}  // namespace ponder::hf
