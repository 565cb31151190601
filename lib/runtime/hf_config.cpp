// SPDX-License-Identifier: Apache-2.0
// Reads config.json; defaults are those of the transformers library, whose files leave out what equals them.
#include "runtime/hf_config.hpp"

#include <algorithm>
#include <cinttypes>
#include <utility>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "format/json_fields.hpp"

namespace ponder::hf {
namespace {

using Json = nlohmann::json;

constexpr uint32_t kSoftmaxGating = 1, kSigmoidGating = 2;  // {architecture}.expert_gating_func

// What the modules of one model_type have, and the defaults in which the types differ.
struct ModelType {
    const char* name;          // config.json's model_type
    const char* architecture;  // GGUF's
    int64_t head_dim;          // 0: the width over the heads
    bool has_halved_rows;      // GGUF wants rows of Q and K in another order than that in which they are stored
    bool has_biases, has_qk_norm, is_latent, is_biased_routing;
};
constexpr ModelType kModelTypes[] = {
    {"llama", "llama", 0, true, false, false, false, false},          {"qwen2", "qwen2", 0, false, true, false, false, false},
    {"qwen3", "qwen3", 128, false, false, true, false, false},        {"deepseek_v2", "deepseek2", 0, false, false, false, true, false},
    {"deepseek_v3", "deepseek2", 0, false, false, false, true, true},
};
constexpr double kRmsEpsilon = 1e-6;

Error unsupported(const char* key, const std::string& value) {
    return make_error(PONDER_STATUS_UNSUPPORTED, "%s: %s is not supported", key, printable(value).c_str());
}

class ConfigReader {
  public:
    ConfigReader(const Json& json, Metadata& metadata) : json_(json), fields_(json), metadata_(metadata) {}

    Result<Config> read() {
        if (!json_.is_object()) return make_error(PONDER_STATUS_FORMAT, "not an object");
        const std::string name = fields_.string("model_type", "");
        if (fields_.failure()) return *fields_.failure();
        const auto* type = std::find_if(std::begin(kModelTypes), std::end(kModelTypes), [&](const ModelType& t) { return name == t.name; });
        if (type == std::end(kModelTypes)) {
            if (name.empty()) return make_error(PONDER_STATUS_FORMAT, "model_type: missing");
            return make_error(PONDER_STATUS_UNSUPPORTED, "model_type: '%s'; known are llama, qwen2, qwen3, deepseek_v2, deepseek_v3",
                              printable(name).c_str());
        }
        type_ = type;
        config_.architecture = type->architecture;
        metadata_.set("general.architecture", Value::from_string(config_.architecture));
        read_common();
        config_.is_latent = type->is_latent;
        config_.has_biases = type->has_biases;
        config_.has_qk_norm = type->has_qk_norm;
        config_.is_latent ? read_latent() : read_heads();
        if (config_.is_latent) read_experts();
        read_storage();
        refuse_variants();
        if (fields_.failure()) return *fields_.failure();
        if (auto read = read_rope(json_, config_, metadata_); !read) return read.error();
        return std::move(config_);
    }

  private:
    void u32(const char* key, int64_t value) {
        metadata_.set(config_.architecture + "." + key, Value::from_u32(static_cast<uint32_t>(value)));
    }
    void f32(const char* key, double value) { metadata_.set(config_.architecture + "." + key, Value::from_f32(static_cast<float>(value))); }
    int64_t width(const char* key, std::optional<int64_t> fallback = std::nullopt) {
        return fields_.integer(key, 1, limits::kMaxWidth, fallback);
    }

    void read_common() {
        config_.n_vocab = fields_.integer("vocab_size", 1, limits::kMaxVocabulary);
        config_.n_embd = width("hidden_size");
        config_.n_ff = width("intermediate_size");
        config_.n_heads = fields_.integer("num_attention_heads", 1, limits::kMaxHeads);
        config_.n_kv_heads = fields_.integer("num_key_value_heads", 1, limits::kMaxHeads, config_.n_heads);
        config_.n_layers = fields_.integer("num_hidden_layers", 1, limits::kMaxLayers);
        config_.is_tied = fields_.boolean("tie_word_embeddings", false);
        u32("vocab_size", config_.n_vocab);
        u32("context_length", fields_.integer("max_position_embeddings", 1, limits::kMaxContext));
        u32("embedding_length", config_.n_embd);
        u32("feed_forward_length", config_.n_ff);
        u32("attention.head_count", config_.n_heads);
        u32("attention.head_count_kv", config_.n_kv_heads);
        f32("attention.layer_norm_rms_epsilon", fields_.real("rms_norm_eps", 0.0, 1.0, kRmsEpsilon));
    }

    void read_heads() {
        std::optional<int64_t> head_dim;
        if (type_->head_dim > 0) {
            head_dim = type_->head_dim;
        } else if (config_.n_embd % config_.n_heads == 0) {
            head_dim = config_.n_embd / config_.n_heads;
        }
        config_.head_dim = width("head_dim", head_dim);
        u32("attention.key_length", config_.head_dim);
        u32("attention.value_length", config_.head_dim);
        u32("rope.dimension_count", config_.head_dim);
        if (type_->has_halved_rows) metadata_.set("ponder.rope.halves", Value::from_bool(true));
    }

    void read_latent() {
        config_.q_lora_rank = fields_.integer("q_lora_rank", 0, limits::kMaxWidth, 0);
        config_.kv_lora_rank = width("kv_lora_rank");
        config_.nope_dim = width("qk_nope_head_dim");
        config_.rope_dim = width("qk_rope_head_dim");
        config_.v_dim = width("v_head_dim");
        config_.head_dim = config_.nope_dim + config_.rope_dim;
        u32("attention.head_count_kv", config_.n_heads);  // of the combined layout; the config's own number has no meaning
        if (config_.q_lora_rank > 0) u32("attention.q_lora_rank", config_.q_lora_rank);
        u32("attention.kv_lora_rank", config_.kv_lora_rank);
        u32("attention.key_length", config_.head_dim);
        u32("attention.value_length", config_.v_dim);
        u32("rope.dimension_count", config_.rope_dim);
        config_.n_next_layers = fields_.integer("num_nextn_predict_layers", 0, limits::kMaxLayers - config_.n_layers, 0);
        if (!fields_.boolean("rope_interleave", true)) fields_.fail(unsupported("rope_interleave", "false"));
    }

    void read_experts() {
        config_.n_experts = fields_.integer("n_routed_experts", 0, limits::kMaxExperts, 0);
        config_.n_leading_dense = config_.n_layers + config_.n_next_layers;
        if (config_.n_experts == 0) return u32("leading_dense_block_count", config_.n_leading_dense);
        config_.n_leading_dense = fields_.integer("first_k_dense_replace", 0, limits::kMaxLayers, 0);
        config_.n_shared = fields_.integer("n_shared_experts", 0, limits::kMaxExperts, 0);
        config_.n_expert_ff = width("moe_intermediate_size");
        if (fields_.integer("moe_layer_freq", 1, limits::kMaxLayers, 1) != 1) {
            fields_.fail(unsupported("moe_layer_freq", "anything but 1"));
        }
        const std::string scoring = fields_.string("scoring_func", type_->is_biased_routing ? "sigmoid" : "softmax");
        if (scoring != "softmax" && scoring != "sigmoid") fields_.fail(unsupported("scoring_func", "'" + scoring + "'"));
        u32("leading_dense_block_count", std::min(config_.n_leading_dense, config_.n_layers + config_.n_next_layers));
        u32("expert_feed_forward_length", config_.n_expert_ff);
        u32("expert_count", config_.n_experts);
        u32("expert_used_count", fields_.integer("num_experts_per_tok", 1, config_.n_experts));
        u32("expert_shared_count", config_.n_shared);
        u32("expert_gating_func", scoring == "sigmoid" ? kSigmoidGating : kSoftmaxGating);
        f32("expert_weights_scale", fields_.real("routed_scaling_factor", 0.0, 1e6, 1.0));
        metadata_.set(config_.architecture + ".expert_weights_norm",
                      Value::from_bool(fields_.boolean("norm_topk_prob", type_->is_biased_routing)));
        read_groups();
    }

    void read_groups() {
        const std::string method = fields_.string("topk_method", type_->is_biased_routing ? "noaux_tc" : "greedy");
        config_.has_selection_bias = method == "noaux_tc";
        int64_t n_groups = 1, n_used = 1;
        if (method == "noaux_tc" || method == "group_limited_greedy") {
            n_groups = fields_.integer("n_group", 1, limits::kMaxExperts, 1);
            n_used = fields_.integer("topk_group", 1, n_groups, n_groups);
        } else if (method != "greedy" && method != "gready") {  // as the published code spells its default
            fields_.fail(unsupported("topk_method", "'" + method + "'"));
        }
        // DeepSeek-V2 (the large one) ranks groups by their best expert alone, V3 by the two best.
        if (method == "group_limited_greedy" && n_used < n_groups) fields_.fail(unsupported("topk_method", "'" + method + "' with groups"));
        u32("expert_group_count", n_groups);
        u32("expert_group_used_count", n_used);
    }

    void read_storage() {
        const std::string type = fields_.string("dtype", fields_.string("torch_dtype", "bfloat16").c_str());
        const std::pair<const char*, const char*> known[] = {{"bfloat16", "BF16"}, {"float16", "F16"}, {"float32", "F32"}};
        for (const auto& [name, stored] : known) {
            if (type == name) config_.stored_type = stored;
        }
        const Json* quantisation = fields_.find("quantization_config");
        if (quantisation == nullptr) return;
        JsonFields fields(*quantisation, "quantization_config.");
        const std::string method = fields.string("quant_method", "");
        if (method != "fp8") fields.fail(unsupported("quantization_config.quant_method", "'" + method + "'"));
        const std::string format = fields.string("fmt", "e4m3");
        if (format != "e4m3") fields.fail(unsupported("quantization_config.fmt", "'" + format + "'"));
        const Json* block = fields.find("weight_block_size");
        if (block == nullptr || *block != Json::array({128, 128})) {
            fields.fail(unsupported("quantization_config.weight_block_size", "anything but [128, 128]"));
        }
        if (fields.failure()) fields_.fail(*fields.failure());
        config_.has_f8 = true;
    }

    void refuse_variants() {
        const std::string act = fields_.string("hidden_act", "silu");
        if (act != "silu") fields_.fail(unsupported("hidden_act", "'" + act + "'"));
        if (fields_.real("partial_rotary_factor", 0.0, 1.0, 1.0) != 1.0) {
            fields_.fail(unsupported("partial_rotary_factor", "anything but 1"));
        }
        if (fields_.boolean("use_sliding_window", false)) fields_.fail(unsupported("use_sliding_window", "true"));
        const Json* layers = fields_.find("layer_types");
        if (layers == nullptr || !layers->is_array()) return;
        for (const Json& layer : *layers) {
            if (layer != "full_attention") fields_.fail(unsupported("layer_types", "anything but full_attention"));
        }
    }

    const Json& json_;
    JsonFields fields_;
    Metadata& metadata_;
    const ModelType* type_ = nullptr;
    Config config_;
};

}  // namespace

Result<Config> read_config(const Json& config, Metadata& metadata) { return ConfigReader(config, metadata).read(); }

void set_layer_count(const Config& config, Metadata& metadata) {
    const auto set = [&](const char* key, int64_t value) {
        metadata.set(config.architecture + "." + key, Value::from_u32(static_cast<uint32_t>(value)));
    };
    set("block_count", config.n_layers + config.n_next_layers);
    if (config.n_next_layers > 0) set("nextn_predict_layers", config.n_next_layers);
}

}  // namespace ponder::hf
