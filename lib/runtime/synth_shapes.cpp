// SPDX-License-Identifier: Apache-2.0
// The table of shapes, and how a shape becomes metadata and a list of tensors with the statistics of their values.
#include "runtime/synth_shapes.hpp"

#include <algorithm>
#include <cmath>

#include "quant/quant.hpp"
#include "runtime/synth_deepseek.hpp"
#include "runtime/synth_tensor_list.hpp"
#include "runtime/synth_vocabulary.hpp"

namespace ponder::synth {
namespace {

constexpr int32_t kDistillContext = 131072;
constexpr int32_t kTinyContext = 8192;

// Qwen3's attention factor is 1 / (1 + 0.1 ln 4): it cancels YaRN's own magnitude.
constexpr YarnShape kQwen3Yarn{4.0f, 32768, 0.8782488562869419f, 0.0f};
constexpr YarnShape kDeepSeekV3Yarn{40.0f, 4096, 0.0f, 0.1f}, kDeepSeekV2LiteYarn{40.0f, 4096, 0.0f, 0.0707f};

// Published config.json values. The tiny shapes are for tests: widths are multiples of 32, so they take 32-element blocks but no K-quants.
constexpr SynthShape kShapes[] = {
    {"r1-distill-qwen-1.5b", "Synthetic R1 Distill Qwen 1.5B", "qwen2", 28, 1536, 12, 2, 128, 8960, 151936, kDistillContext, 10000.0f,
     1e-6f, RopeScaling::kNone, &kR1QwenVocabulary, "Q4_K_M"},
    {"r1-distill-qwen-7b", "Synthetic R1 Distill Qwen 7B", "qwen2", 28, 3584, 28, 4, 128, 18944, 152064, kDistillContext, 10000.0f, 1e-6f,
     RopeScaling::kNone, &kR1QwenVocabulary, "Q4_K_M"},
    {"r1-distill-qwen-14b", "Synthetic R1 Distill Qwen 14B", "qwen2", 48, 5120, 40, 8, 128, 13824, 152064, kDistillContext, 1e6f, 1e-5f,
     RopeScaling::kNone, &kR1QwenVocabulary, "Q4_K_M"},
    {"r1-distill-qwen-32b", "Synthetic R1 Distill Qwen 32B", "qwen2", 64, 5120, 40, 8, 128, 27648, 152064, kDistillContext, 1e6f, 1e-5f,
     RopeScaling::kNone, &kR1QwenVocabulary, "Q4_K_M"},
    {"r1-distill-llama-8b", "Synthetic R1 Distill Llama 8B", "llama", 32, 4096, 32, 8, 128, 14336, 128256, kDistillContext, 500000.0f,
     1e-5f, RopeScaling::kLlama3, &kR1LlamaVocabulary, "Q4_K_M"},
    {"r1-distill-llama-70b", "Synthetic R1 Distill Llama 70B", "llama", 80, 8192, 64, 8, 128, 28672, 128256, kDistillContext, 500000.0f,
     1e-5f, RopeScaling::kLlama3, &kR1LlamaVocabulary, "Q4_K_M"},
    {"r1-0528-qwen3-8b", "Synthetic R1 0528 Qwen3 8B", "qwen3", 36, 4096, 32, 8, 128, 12288, 151936, kDistillContext, 1e6f, 1e-6f,
     RopeScaling::kYarn, &kR1Qwen3Vocabulary, "Q4_K_M", kQwen3Yarn},
    {"deepseek-r1", "Synthetic DeepSeek R1", "deepseek2", 61, 7168, 128, 1, 192, 18432, 129280, 163840, 10000.0f, 1e-6f, RopeScaling::kYarn,
     &kDeepSeekV3Vocabulary, "Q4_K_M", kDeepSeekV3Yarn, LatentShape{1536, 512, 128, 64, 128},
     ExpertShape{256, 8, 1, 2048, 3, 8, 4, true, true, 2.5f}},
    {"deepseek-v2-lite", "Synthetic DeepSeek V2 Lite", "deepseek2", 27, 2048, 16, 1, 192, 10944, 102400, 163840, 10000.0f, 1e-6f,
     RopeScaling::kYarn, &kDeepSeekV2Vocabulary, "Q4_K_M", kDeepSeekV2LiteYarn, LatentShape{0, 512, 128, 64, 128},
     ExpertShape{64, 6, 2, 1408, 1, 1, 1, false, false, 1.0f}},
    {"tiny-llama", "Synthetic tiny Llama", "llama", 2, 64, 4, 2, 16, 128, 608, kTinyContext, 10000.0f, 1e-5f, RopeScaling::kNone,
     &kTinyLlamaVocabulary, "F32"},
    {"tiny-qwen2", "Synthetic tiny Qwen2", "qwen2", 2, 64, 4, 2, 16, 128, 608, kTinyContext, 10000.0f, 1e-6f, RopeScaling::kNone,
     &kTinyQwenVocabulary, "F32"},
    {"tiny-qwen3", "Synthetic tiny Qwen3", "qwen3", 2, 64, 4, 2, 32, 128, 608, kTinyContext, 1e6f, 1e-6f, RopeScaling::kNone,
     &kTinyQwenVocabulary, "F32"},
    {"tiny-deepseek-v3", "Synthetic tiny DeepSeek V3", "deepseek2", 3, 128, 4, 1, 64, 256, 608, kTinyContext, 10000.0f, 1e-6f,
     RopeScaling::kYarn, &kTinyDeepSeekVocabulary, "F32", kDeepSeekV3Yarn, LatentShape{64, 96, 32, 32, 32},
     ExpertShape{16, 4, 1, 64, 1, 4, 2, true, true, 2.5f}},
    {"tiny-deepseek-v2", "Synthetic tiny DeepSeek V2", "deepseek2", 3, 64, 2, 1, 64, 128, 608, kTinyContext, 10000.0f, 1e-6f,
     RopeScaling::kYarn, &kTinyDeepSeekVocabulary, "F32", kDeepSeekV2LiteYarn, LatentShape{0, 64, 32, 32, 32},
     ExpertShape{8, 3, 2, 32, 1, 1, 1, false, false, 1.0f}},
};

// Gain of the output matrix: logits get this standard deviation, so that the likeliest of 150,000 tokens stand out as a real model's do.
constexpr float kLogitGain = 3.0f;

std::string shape_names() {
    std::string names;
    for (const SynthShape& shape : kShapes) names += std::string(names.empty() ? "" : ", ") + shape.name;
    return names;
}

void add_attention(const SynthShape& shape, const std::string& blk, int32_t layer, float branch_gain, TensorList& list) {
    const int64_t q_width = int64_t{shape.n_heads} * shape.head_dim, kv_width = int64_t{shape.n_kv_heads} * shape.head_dim;
    const std::string_view architecture = shape.architecture;
    list.add_matrix(blk + "attn_q.weight", TensorRole::kAttnQ, layer, shape.n_embd, q_width);
    list.add_matrix(blk + "attn_k.weight", TensorRole::kAttnK, layer, shape.n_embd, kv_width);
    list.add_matrix(blk + "attn_v.weight", TensorRole::kAttnV, layer, shape.n_embd, kv_width);
    if (architecture == "qwen2") {
        list.add_bias(blk + "attn_q.bias", layer, q_width);
        list.add_bias(blk + "attn_k.bias", layer, kv_width);
        list.add_bias(blk + "attn_v.bias", layer, kv_width);
    }
    if (architecture == "qwen3") {
        list.add_norm(blk + "attn_q_norm.weight", layer, shape.head_dim);
        list.add_norm(blk + "attn_k_norm.weight", layer, shape.head_dim);
    }
    list.add_matrix(blk + "attn_output.weight", TensorRole::kAttnOutput, layer, q_width, shape.n_embd, branch_gain);
}

void add_dense_ffn(const SynthShape& shape, const std::string& blk, int32_t layer, float branch_gain, TensorList& list) {
    list.add_matrix(blk + "ffn_gate.weight", TensorRole::kFfnGate, layer, shape.n_embd, shape.n_ff);
    list.add_matrix(blk + "ffn_up.weight", TensorRole::kFfnUp, layer, shape.n_embd, shape.n_ff);
    list.add_matrix(blk + "ffn_down.weight", TensorRole::kFfnDown, layer, shape.n_ff, shape.n_embd, branch_gain);
}

void add_layer(const SynthShape& shape, int32_t layer, int32_t n_layers, TensorList& list) {
    const std::string blk = "blk." + std::to_string(layer) + ".";
    // Each layer adds two branches to the residual stream; scaled so, all of them together at most double its variance.
    const float branch_gain = 1.0f / std::sqrt(2.0f * static_cast<float>(n_layers));
    const bool has_latent = shape.latent.kv_rank > 0, has_experts = shape.experts.n_experts > 0 && layer >= shape.experts.n_leading_dense;

    list.add_norm(blk + "attn_norm.weight", layer, shape.n_embd);
    has_latent ? add_latent_attention(shape, blk, layer, branch_gain, list) : add_attention(shape, blk, layer, branch_gain, list);
    list.add_norm(blk + "ffn_norm.weight", layer, shape.n_embd);
    has_experts ? add_experts(shape, blk, layer, branch_gain, list) : add_dense_ffn(shape, blk, layer, branch_gain, list);
}

void set_yarn(const YarnShape& yarn, const std::string& prefix, Metadata& metadata) {
    metadata.set(prefix + "type", Value::from_string("yarn"));
    metadata.set(prefix + "factor", Value::from_f32(yarn.factor));
    metadata.set(prefix + "original_context_length", Value::from_u32(static_cast<uint32_t>(yarn.original_context)));
    if (yarn.attn_factor != 0.0f) metadata.set(prefix + "attn_factor", Value::from_f32(yarn.attn_factor));
    if (yarn.log_multiplier == 0.0f) return;
    metadata.set(prefix + "yarn_log_multiplier", Value::from_f32(yarn.log_multiplier));
    metadata.set(prefix + "yarn_beta_fast", Value::from_f32(32.0f));
    metadata.set(prefix + "yarn_beta_slow", Value::from_f32(1.0f));
}

}  // namespace

std::span<const SynthShape> synth_shapes() { return kShapes; }

Result<const SynthShape*> find_synth_shape(std::string_view name) {
    for (const SynthShape& shape : kShapes) {
        if (name == shape.name) return &shape;
    }
    const int shown = static_cast<int>(std::min<size_t>(name.size(), 100));
    return make_error(PONDER_STATUS_NOT_FOUND, "no shape \"%.*s\"; there are %s", shown, name.data(), shape_names().c_str());
}

void set_hyper_parameters(const SynthShape& shape, int32_t n_layers, Metadata& metadata) {
    const auto key = [&](const char* suffix) { return std::string(shape.architecture) + "." + suffix; };
    const auto set_u32 = [&](const char* suffix, int32_t v) { metadata.set(key(suffix), Value::from_u32(static_cast<uint32_t>(v))); };
    const auto set_f32 = [&](const char* suffix, float v) { metadata.set(key(suffix), Value::from_f32(v)); };

    metadata.set("general.architecture", Value::from_string(shape.architecture));
    metadata.set("general.type", Value::from_string("model"));
    metadata.set("general.name", Value::from_string(shape.title));
    set_u32("block_count", n_layers);
    set_u32("context_length", shape.n_context);
    set_u32("embedding_length", shape.n_embd);
    set_u32("feed_forward_length", shape.n_ff);
    set_u32("attention.head_count", shape.n_heads);
    set_u32("attention.head_count_kv", shape.n_kv_heads);
    set_f32("attention.layer_norm_rms_epsilon", shape.rms_eps);
    set_f32("rope.freq_base", shape.rope_theta);
    const std::string_view architecture = shape.architecture;
    if (shape.latent.kv_rank > 0) {
        set_latent_parameters(shape, metadata);
    } else if (architecture != "qwen2") {
        set_u32("attention.key_length", shape.head_dim);
        set_u32("attention.value_length", shape.head_dim);
    }
    if (architecture == "llama") {
        set_u32("rope.dimension_count", shape.head_dim);
        set_u32("vocab_size", shape.n_vocab);
    }
    if (shape.experts.n_experts > 0) set_expert_parameters(shape, metadata);
    if (shape.rope_scaling == RopeScaling::kYarn) set_yarn(shape.yarn, key("rope.scaling."), metadata);
}

std::vector<SynthTensor> list_synth_tensors(const SynthShape& shape, int32_t n_layers) {
    TensorList list(find_quant_type("F32")->id);
    // Embeddings of variance 1: the residual stream starts where the branches' gains assume it.
    list.add_matrix("token_embd.weight", TensorRole::kTokenEmbedding, -1, shape.n_embd, shape.n_vocab,
                    std::sqrt(static_cast<float>(shape.n_embd)));
    if (shape.rope_scaling == RopeScaling::kLlama3) {
        list.add_vector("rope_freqs.weight", TensorRole::kRopeFactors, -1, shape.head_dim / 2, 0.0f, 0.0f);
    }
    for (int32_t layer = 0; layer < n_layers; ++layer) add_layer(shape, layer, n_layers, list);
    list.add_norm("output_norm.weight", -1, shape.n_embd);
    list.add_matrix("output.weight", TensorRole::kOutput, -1, shape.n_embd, shape.n_vocab, kLogitGain);
    return list.take();
}

}  // namespace ponder::synth
