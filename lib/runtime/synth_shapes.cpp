// SPDX-License-Identifier: Apache-2.0
// The table of shapes, and how a shape becomes metadata and a list of tensors with the statistics of their values.
#include "runtime/synth_shapes.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "quant/quant.hpp"
#include "runtime/synth_vocabulary.hpp"

namespace ponder::synth {
namespace {

constexpr int32_t kDistillContext = 131072;
constexpr int32_t kTinyContext = 8192;

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
     RopeScaling::kYarn, &kR1Qwen3Vocabulary, "Q4_K_M"},
    {"tiny-llama", "Synthetic tiny Llama", "llama", 2, 64, 4, 2, 16, 128, 608, kTinyContext, 10000.0f, 1e-5f, RopeScaling::kNone,
     &kTinyLlamaVocabulary, "F32"},
    {"tiny-qwen2", "Synthetic tiny Qwen2", "qwen2", 2, 64, 4, 2, 16, 128, 608, kTinyContext, 10000.0f, 1e-6f, RopeScaling::kNone,
     &kTinyQwenVocabulary, "F32"},
    {"tiny-qwen3", "Synthetic tiny Qwen3", "qwen3", 2, 64, 4, 2, 32, 128, 608, kTinyContext, 1e6f, 1e-6f, RopeScaling::kNone,
     &kTinyQwenVocabulary, "F32"},
};

// Known models whose architectures (latent attention, experts) this generator does not build.
constexpr const char* kKnownButUnsupported[] = {"deepseek-r1", "deepseek-v2-lite"};

// Llama 3.1's published rotation: context stretched from 8192 by 8.
constexpr double kLlama3Factor = 8, kLlama3LowFrequency = 1, kLlama3HighFrequency = 4, kLlama3Context = 8192;

// Gain of the output matrix: logits get this standard deviation, so that the likeliest of 150,000 tokens stand out as a real model's do.
constexpr float kLogitGain = 3.0f;

std::string shape_names() {
    std::string names;
    for (const SynthShape& shape : kShapes) names += std::string(names.empty() ? "" : ", ") + shape.name;
    return names;
}

class TensorList {
  public:
    explicit TensorList(int32_t float_type) : float_type_(float_type) {}

    // A matrix whose outputs have the standard deviation `gain` for inputs of variance 1.
    void add_matrix(const std::string& name, TensorRole role, int32_t layer, int64_t n_cols, int64_t n_rows, float gain = 1.0f) {
        tensors_.push_back({name, role, layer, n_cols, n_rows, float_type_, 0.0f, gain / std::sqrt(static_cast<float>(n_cols))});
    }
    void add_vector(const std::string& name, TensorRole role, int32_t layer, int64_t n, float mean, float std_dev) {
        tensors_.push_back({name, role, layer, n, 1, float_type_, mean, std_dev});
    }
    void add_norm(const std::string& name, int32_t layer, int64_t n) { add_vector(name, TensorRole::kNorm, layer, n, 1.0f, 0.1f); }
    void add_bias(const std::string& name, int32_t layer, int64_t n) { add_vector(name, TensorRole::kBias, layer, n, 0.0f, 0.1f); }

    std::vector<SynthTensor> take() { return std::move(tensors_); }

  private:
    int32_t float_type_;
    std::vector<SynthTensor> tensors_;
};

void add_layer(const SynthShape& shape, int32_t layer, int32_t n_layers, TensorList& list) {
    const std::string blk = "blk." + std::to_string(layer) + ".";
    const int64_t q_width = int64_t{shape.n_heads} * shape.head_dim, kv_width = int64_t{shape.n_kv_heads} * shape.head_dim;
    const std::string_view architecture = shape.architecture;
    // Each layer adds two branches to the residual stream; scaled so, all of them together at most double its variance.
    const float branch_gain = 1.0f / std::sqrt(2.0f * static_cast<float>(n_layers));

    list.add_norm(blk + "attn_norm.weight", layer, shape.n_embd);
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
    list.add_norm(blk + "ffn_norm.weight", layer, shape.n_embd);
    list.add_matrix(blk + "ffn_gate.weight", TensorRole::kFfnGate, layer, shape.n_embd, shape.n_ff);
    list.add_matrix(blk + "ffn_up.weight", TensorRole::kFfnUp, layer, shape.n_embd, shape.n_ff);
    list.add_matrix(blk + "ffn_down.weight", TensorRole::kFfnDown, layer, shape.n_ff, shape.n_embd, branch_gain);
}

}  // namespace

std::span<const SynthShape> synth_shapes() { return kShapes; }

Result<const SynthShape*> find_synth_shape(std::string_view name) {
    for (const SynthShape& shape : kShapes) {
        if (name == shape.name) return &shape;
    }
    const int shown = static_cast<int>(std::min<size_t>(name.size(), 100));
    for (const char* known : kKnownButUnsupported) {
        if (name == known) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "shape \"%s\" cannot be synthesised by this version; it makes %s", known,
                              shape_names().c_str());
        }
    }
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
    if (architecture != "qwen2") {
        set_u32("attention.key_length", shape.head_dim);
        set_u32("attention.value_length", shape.head_dim);
    }
    if (architecture == "llama") {
        set_u32("rope.dimension_count", shape.head_dim);
        set_u32("vocab_size", shape.n_vocab);
    }
    if (shape.rope_scaling == RopeScaling::kYarn) {
        metadata.set(key("rope.scaling.type"), Value::from_string("yarn"));
        set_f32("rope.scaling.factor", 4.0f);
        set_u32("rope.scaling.original_context_length", 32768);
        // 1 / (1 + 0.1 ln 4): cancels YaRN's own magnitude, as the published configuration has it.
        set_f32("rope.scaling.attn_factor", 0.8782488562869419f);
    }
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

std::vector<float> llama3_rope_factors(int32_t head_dim, float rope_theta) {
    std::vector<float> factors;
    for (int32_t i = 0; i < head_dim; i += 2) {
        const double wavelength = 2 * std::numbers::pi * std::pow(static_cast<double>(rope_theta), static_cast<double>(i) / head_dim);
        const double turns = kLlama3Context / wavelength;  // in the original context
        const double t = std::clamp((turns - kLlama3LowFrequency) / (kLlama3HighFrequency - kLlama3LowFrequency), 0.0, 1.0);
        factors.push_back(static_cast<float>(1 / ((1 - t) / kLlama3Factor + t)));
    }
    return factors;
}

}  // namespace ponder::synth
