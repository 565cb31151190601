// SPDX-License-Identifier: Apache-2.0
// Hugging Face folders: how config, shards and text files become GGUF's keys and tensors, and what is refused.
#include "runtime/hf_folder.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "format/safetensors_bytes.hpp"
#include "model/architecture.hpp"
#include "quant/quant.hpp"
#include "runtime/model_source.hpp"
#include "temp_file.hpp"

using Json = nlohmann::json;
using ponder::ModelFile;
using ponder::hf::read_folder;

namespace {

constexpr auto kFormat = PONDER_STATUS_FORMAT;
constexpr auto kUnsupported = PONDER_STATUS_UNSUPPORTED;
constexpr auto kIo = PONDER_STATUS_IO;

Json qwen2_config() {
    return {{"model_type", "qwen2"},
            {"hidden_size", 8},
            {"intermediate_size", 12},
            {"num_attention_heads", 2},
            {"num_key_value_heads", 1},
            {"num_hidden_layers", 1},
            {"vocab_size", 5},
            {"max_position_embeddings", 64},
            {"tie_word_embeddings", true},
            {"torch_dtype", "bfloat16"},
            {"architectures", {"Qwen2ForCausalLM"}}};
}

Json deepseek_config() {
    return {{"model_type", "deepseek_v3"},
            {"hidden_size", 8},
            {"intermediate_size", 12},
            {"num_attention_heads", 2},
            {"num_hidden_layers", 2},
            {"vocab_size", 5},
            {"max_position_embeddings", 64},
            {"q_lora_rank", 6},
            {"kv_lora_rank", 4},
            {"qk_nope_head_dim", 4},
            {"qk_rope_head_dim", 2},
            {"v_head_dim", 4},
            {"n_routed_experts", 4},
            {"num_experts_per_tok", 2},
            {"n_shared_experts", 1},
            {"moe_intermediate_size", 4},
            {"first_k_dense_replace", 1},
            {"num_nextn_predict_layers", 1},
            {"n_group", 2},
            {"topk_group", 1}};
}

struct Part {
    std::string name, dtype;
    std::vector<int64_t> shape;
};

// Q, K and V with biases, a dense feed-forward, a tied head.
std::vector<Part> qwen2_parts() {
    const std::string layer = "model.layers.0.";
    return {{"model.embed_tokens.weight", "BF16", {5, 8}},       {"model.norm.weight", "BF16", {8}},
            {layer + "input_layernorm.weight", "BF16", {8}},     {layer + "post_attention_layernorm.weight", "BF16", {8}},
            {layer + "self_attn.q_proj.weight", "BF16", {8, 8}}, {layer + "self_attn.q_proj.bias", "BF16", {8}},
            {layer + "self_attn.k_proj.weight", "BF16", {4, 8}}, {layer + "self_attn.k_proj.bias", "BF16", {4}},
            {layer + "self_attn.v_proj.weight", "BF16", {4, 8}}, {layer + "self_attn.v_proj.bias", "BF16", {4}},
            {layer + "self_attn.o_proj.weight", "BF16", {8, 8}}, {layer + "mlp.gate_proj.weight", "BF16", {12, 8}},
            {layer + "mlp.up_proj.weight", "BF16", {12, 8}},     {layer + "mlp.down_proj.weight", "BF16", {8, 12}}};
}

class Folder {
  public:
    Folder() { std::filesystem::create_directory(path()); }

    const std::string& path() const { return file_.path(); }
    std::string path(const std::string& name) const { return path() + "/" + name; }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path(name), std::ios::binary) << text; }
    void write(const std::string& name, const Json& json) const { write(name, json.dump()); }
    void remove(const std::string& name) const { std::filesystem::remove(path(name)); }

    void write_tensors(const std::string& name, const std::vector<Part>& parts) const {
        std::string header = "{";
        size_t end = 0;
        for (const Part& part : parts) {
            const size_t begin = end;
            size_t n = ponder::find_quant_type(part.dtype)->block_bytes;
            for (const int64_t extent : part.shape) n *= static_cast<size_t>(extent);
            end += n;
            header += (header.size() > 1 ? "," : "") + Json(part.name).dump() + ":" +
                      Json{{"dtype", part.dtype}, {"shape", part.shape}, {"data_offsets", {begin, end}}}.dump();
        }
        const auto bytes = ponder_test::safetensors_bytes(header + "}", end);
        std::ofstream(path(name), std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }

    void write_index(const std::vector<Part>& parts, const std::function<std::string(size_t)>& shard_of) const {
        Json map = Json::object();
        for (size_t i = 0; i < parts.size(); i++) map[parts[i].name] = shard_of(i);
        write("model.safetensors.index.json", Json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}});
    }

    ModelFile open() const {
        auto model = read_folder(path(), true);
        REQUIRE_MESSAGE(model, model.error().message);
        return std::move(*model);
    }
    void refuses(ponder_status status, const std::string& words, bool with_weights = true) const {
        const auto model = read_folder(path(), with_weights);
        REQUIRE_MESSAGE(!model, "accepted, expected: " << words);
        CHECK_MESSAGE(model.error().status == status, model.error().message);
        CHECK_MESSAGE(model.error().message.find(words) != std::string::npos, model.error().message << " lacks: " << words);
        CHECK_MESSAGE(model.error().message.find(path()) != std::string::npos, model.error().message);
    }

  private:
    ponder_test::TempFile file_{"folder"};
};

struct Qwen2Folder : Folder {
    Qwen2Folder() {
        write("config.json", qwen2_config());
        write_tensors("model.safetensors", qwen2_parts());
    }
    void change(const Json& patch) const {
        Json config = qwen2_config();
        config.merge_patch(patch);
        write("config.json", config);
    }
};

ponder::Metadata keys_of(Json config, const char* patch = "{}") {
    config.merge_patch(Json::parse(patch));
    auto outline = ponder::hf::make_outline(config, "config.json");
    REQUIRE_MESSAGE(outline, outline.error().message);
    return std::move(outline->metadata);
}

float real(const ponder::Metadata& metadata, const char* key) {
    const auto value = metadata.get_f32(key);
    REQUIRE_MESSAGE((value && *value), key);
    return **value;
}

int64_t integer(const ponder::Metadata& metadata, const char* key) {
    const auto value = metadata.get_i64(key);
    REQUIRE_MESSAGE((value && *value), key);
    return **value;
}

void refuses_config(Json config, const char* patch, ponder_status status, const std::string& words) {
    config.merge_patch(Json::parse(patch));
    const auto outline = ponder::hf::make_outline(config, "config.json");
    REQUIRE_MESSAGE(!outline, "accepted: " << patch);
    CHECK_MESSAGE(outline.error().status == status, outline.error().message);
    CHECK_MESSAGE(outline.error().message.starts_with("config.json: " + words), outline.error().message << " lacks: " << words);
}

}  // namespace

TEST_CASE("hf_folder: a folder, its config.json, its weights and its index all name the same model") {
    const Qwen2Folder folder;
    const ModelFile model = folder.open();
    CHECK(**model.metadata.get_string("general.architecture") == "qwen2");
    CHECK(**model.metadata.get_string("general.name") == "folder");
    CHECK(integer(model.metadata, "qwen2.block_count") == 1);
    CHECK(integer(model.metadata, "qwen2.attention.key_length") == 4);
    CHECK(**model.metadata.get_string("tokenizer.ggml.model") == "no_vocab");
    CHECK(model.tensors.size() == qwen2_parts().size());
    const ponder::StoredTensor* down = model.find("blk.0.ffn_down.weight");
    REQUIRE(down != nullptr);
    CHECK(down->dims == std::array<int64_t, 4>{12, 8, 1, 1});
    CHECK(ponder::build_graph(model, {}));
    for (const char* name : {"", "/", "/config.json", "/model.safetensors"}) {
        const auto same = ponder::read_model_file(folder.path() + name);
        REQUIRE_MESSAGE(same, same.error().message);
        CHECK(same->tensors.size() == model.tensors.size());
    }
}

TEST_CASE("hf_folder: shards are found by the index, which must tell the truth") {
    Qwen2Folder folder;
    folder.remove("model.safetensors");
    auto parts = qwen2_parts();
    const std::vector<Part> first(parts.begin(), parts.begin() + 5), second(parts.begin() + 5, parts.end());
    folder.write_tensors("a.safetensors", first);
    folder.write_tensors("b.safetensors", second);
    const auto shard_of = [](size_t i) { return i < 5 ? "a.safetensors" : "b.safetensors"; };
    folder.write_index(parts, shard_of);
    CHECK(folder.open().tensors.size() == parts.size());

    folder.write_index(parts, [&](size_t i) { return i == 4 ? "b.safetensors" : shard_of(i); });
    folder.refuses(kFormat, "b.safetensors: tensor 'model.layers.0.self_attn.q_proj.weight', which the index says is here, is missing");
    folder.write_index(parts, [&](size_t i) { return i == 4 ? "c.safetensors" : shard_of(i); });
    folder.refuses(kIo, "c.safetensors: cannot open");
    for (const char* name : {"../a.safetensors", "/a.safetensors", "x/a.safetensors", "x\\a.safetensors", "a.bin", ".safetensors", ""}) {
        folder.write_index(parts, [&](size_t i) { return i == 4 ? name : shard_of(i); });
        folder.refuses(kFormat, "model.safetensors.index.json: weight_map: 'model.layers.0.self_attn.q_proj.weight' is in");
    }
    folder.write("model.safetensors.index.json", Json{{"weight_map", {{"a", 1}}}});
    folder.refuses(kFormat, "weight_map: 'a' is in no string");
    folder.write("model.safetensors.index.json", Json{{"weight_map", Json::array()}});
    folder.refuses(kFormat, "weight_map: missing, or not an object");
    folder.write("model.safetensors.index.json", Json{{"weight_map", Json::object()}});
    folder.refuses(kFormat, "weight_map: names no tensors");
    folder.write("model.safetensors.index.json", std::string("{"));
    folder.refuses(kFormat, "model.safetensors.index.json: JSON: syntax error");
    // A tensor that the index does not name is passed over, so that the model lacks it.
    folder.write_index({parts.begin() + 1, parts.end()}, [&](size_t i) { return shard_of(i + 1); });
    folder.refuses(kFormat, "tensor 'model.embed_tokens.weight' is missing");
}

TEST_CASE("hf_folder: what is missing, has another shape, or is no part of the model is refused by name") {
    Qwen2Folder folder;
    auto parts = qwen2_parts();
    for (size_t i = 0; i < parts.size(); i++) {
        auto fewer = parts;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        folder.write_tensors("model.safetensors", fewer);
        folder.refuses(kFormat, "tensor '" + parts[i].name + "' is missing");
    }
    auto other = parts;
    other[4].shape = {4, 16};
    folder.write_tensors("model.safetensors", other);
    folder.refuses(kFormat, "tensor 'model.layers.0.self_attn.q_proj.weight' is [4, 16], config.json asks for [8, 8]");
    other = parts;
    other[1].shape = {8, 1};
    folder.write_tensors("model.safetensors", other);
    folder.refuses(kFormat, "tensor 'model.norm.weight' is [8, 1], config.json asks for [8]");
    other = parts;
    other.push_back({"model.layers.0.self_attn.lora_A.weight", "BF16", {8}});
    folder.write_tensors("model.safetensors", other);
    folder.refuses(kUnsupported, "tensor 'model.layers.0.self_attn.lora_A.weight' is no part of a model");
    // Tables of old files and the copy of a tied head are known not to matter.
    other = parts;
    other.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {2}});
    other.push_back({"lm_head.weight", "BF16", {5, 8}});
    folder.write_tensors("model.safetensors", other);
    CHECK(folder.open().find("output.weight") == nullptr);
    folder.change({{"tie_word_embeddings", false}});
    CHECK(folder.open().find("output.weight") != nullptr);
}

TEST_CASE("hf_folder: FP8 weights need factors of their blocks") {
    Qwen2Folder folder;
    auto parts = qwen2_parts();
    parts[4].dtype = "F8_E4M3";
    const auto with = [&](const std::string& dtype, std::vector<int64_t> shape) {
        auto all = parts;
        all.push_back({parts[4].name + "_scale_inv", dtype, std::move(shape)});
        folder.write_tensors("model.safetensors", all);
    };
    folder.write_tensors("model.safetensors", parts);
    folder.refuses(kFormat, "tensor 'model.layers.0.self_attn.q_proj.weight_scale_inv', the factors of FP8 weights, is missing");
    with("F32", {1, 2});
    folder.refuses(kFormat, "q_proj.weight_scale_inv' is [1, 2], config.json asks for [1, 1]");
    with("BF16", {1, 1});
    folder.refuses(kUnsupported, "q_proj.weight_scale_inv': dtype: factors of FP8 weights must be F32");
    with("F32", {1, 1});
    CHECK(folder.open().find("blk.0.attn_q.weight")->scales.size() == 1);
    parts[4].dtype = "BF16";
    with("F32", {1, 1});
    folder.refuses(kUnsupported, "tensor 'model.layers.0.self_attn.q_proj.weight_scale_inv' is no part of a model");
    parts[1].dtype = "F8_E4M3";
    folder.write_tensors("model.safetensors", parts);
    folder.refuses(kUnsupported, "tensor 'model.norm.weight': dtype: a vector of FP8");
}

TEST_CASE("hf_folder: a folder without weights is an outline, and is only opened as one") {
    const Folder folder;
    folder.refuses(kIo, "config.json: missing");
    folder.write("config.json", std::string("[]"));
    folder.refuses(kFormat, "config.json: not an object");
    folder.write("config.json", std::string("{"));
    folder.refuses(kFormat, "config.json: JSON: syntax error");
    folder.write("config.json", qwen2_config());
    folder.refuses(PONDER_STATUS_NOT_FOUND, "has no weights: there is neither model.safetensors nor model.safetensors.index.json");
    CHECK(!ponder::read_model_file(folder.path("config.json")));
    const auto outline = ponder::read_model_outline(folder.path("config.json"));
    REQUIRE_MESSAGE(outline, outline.error().message);
    CHECK(ponder::build_graph(*outline, {}));
    CHECK(outline->find("blk.0.attn_q.bias") != nullptr);

    folder.write_tensors("model.safetensors", qwen2_parts());
    const ModelFile model = folder.open();
    REQUIRE(outline->tensors.size() == model.tensors.size());
    CHECK(outline->data_bytes == model.data_bytes);
    for (const ponder::StoredTensor& tensor : model.tensors) {
        const ponder::StoredTensor* same = outline->find(tensor.name);
        REQUIRE_MESSAGE(same != nullptr, tensor.name);
        CHECK(same->dims == tensor.dims);
        CHECK(same->type == tensor.type);
        CHECK(same->data.size() == tensor.data.size());
    }
}

TEST_CASE("hf_config: R1's own numbers") {
    Json config = deepseek_config();
    config.merge_patch(
        Json::parse(R"({"hidden_size": 7168, "intermediate_size": 18432, "num_attention_heads": 128, "num_key_value_heads": 128,
        "num_hidden_layers": 61, "vocab_size": 129280, "max_position_embeddings": 163840, "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 256, "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048, "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4, "routed_scaling_factor": 2.5,
        "norm_topk_prob": true, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "rope_theta": 10000, "rms_norm_eps": 1e-06,
        "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
                         "original_max_position_embeddings": 4096, "type": "yarn"},
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}})"));
    const auto outline = ponder::hf::make_outline(config, "config.json");
    REQUIRE_MESSAGE(outline, outline.error().message);
    const ponder::Metadata& keys = outline->metadata;
    CHECK(integer(keys, "deepseek2.block_count") == 62);
    CHECK(integer(keys, "deepseek2.nextn_predict_layers") == 1);
    CHECK(integer(keys, "deepseek2.attention.key_length") == 192);
    CHECK(integer(keys, "deepseek2.attention.value_length") == 128);
    CHECK(integer(keys, "deepseek2.rope.dimension_count") == 64);
    CHECK(integer(keys, "deepseek2.expert_gating_func") == 2);
    CHECK(integer(keys, "deepseek2.expert_group_count") == 8);
    CHECK(integer(keys, "deepseek2.expert_group_used_count") == 4);
    CHECK(real(keys, "deepseek2.expert_weights_scale") == 2.5f);
    CHECK(real(keys, "deepseek2.rope.scaling.yarn_log_multiplier") == doctest::Approx(0.1));
    CHECK(real(keys, "deepseek2.rope.scaling.attn_factor") == 1.0f);
    // 671 billion without the prediction layer, whose own copies of embedding and head the published folder has, too.
    CHECK(outline->n_parameters() == 684'489'845'504);
    CHECK(outline->find("blk.61.nextn.eh_proj.weight")->dims == std::array<int64_t, 4>{14336, 7168, 1, 1});
    const ponder::StoredTensor* experts = outline->find("blk.60.ffn_up_exps.weight");
    CHECK(experts->type == ponder::kF8E4M3);
    CHECK(experts->dims == std::array<int64_t, 4>{7168, 2048, 256, 1});
    CHECK(experts->scales.size() == 256);
    CHECK(experts->scales[0].size() == 56 * 16 * sizeof(float));
    CHECK(outline->find("blk.60.exp_probs_b.bias")->type == ponder::find_quant_type("F32")->id);
    CHECK(outline->find("blk.60.ffn_gate_inp.weight")->type == ponder::find_quant_type("BF16")->id);
    CHECK(ponder::build_graph(*outline, {}));
}

TEST_CASE("hf_config: how experts are chosen") {
    const Json config = deepseek_config();
    const ponder::Metadata v3 = keys_of(config);
    CHECK(integer(v3, "deepseek2.expert_gating_func") == 2);
    CHECK(integer(v3, "deepseek2.expert_group_count") == 2);
    CHECK(**v3.get_bool("deepseek2.expert_weights_norm"));
    for (const char* patch : {R"({"model_type": "deepseek_v2"})", R"({"model_type": "deepseek_v2", "topk_method": "greedy"})",
                              R"({"model_type": "deepseek_v2", "topk_method": "gready"})",
                              R"({"model_type": "deepseek_v2", "topk_method": "group_limited_greedy", "n_group": 1})"}) {
        CAPTURE(patch);
        const ponder::Metadata v2 = keys_of(config, patch);
        CHECK(integer(v2, "deepseek2.expert_gating_func") == 1);
        CHECK(integer(v2, "deepseek2.expert_group_count") == 1);
        CHECK(!**v2.get_bool("deepseek2.expert_weights_norm"));
    }
    CHECK(integer(keys_of(config, R"({"n_routed_experts": null})"), "deepseek2.leading_dense_block_count") == 3);
}

TEST_CASE("hf_config: rotary scalings in every spelling") {
    const Json config = qwen2_config();
    CHECK(real(keys_of(config), "qwen2.rope.freq_base") == 10000.0f);
    CHECK(real(keys_of(config, R"({"rope_theta": 1e6})"), "qwen2.rope.freq_base") == 1e6f);
    CHECK(real(keys_of(config, R"({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}})"), "qwen2.rope.freq_base") == 5e5f);
    CHECK(keys_of(config, R"({"rope_scaling": null})").find("qwen2.rope.scaling.type") == nullptr);
    for (const char* key : {"type", "rope_type"}) {
        const std::string patch = std::string(R"({"rope_scaling": {"factor": 4, ")") + key + R"(": "linear"}})";
        const ponder::Metadata keys = keys_of(config, patch.c_str());
        CHECK(**keys.get_string("qwen2.rope.scaling.type") == "linear");
        CHECK(real(keys, "qwen2.rope.scaling.factor") == 4.0f);
    }
    const float growth = 1.0f + 0.1f * std::log(4.0f);
    const auto yarn = [&](const std::string& more) {
        return keys_of(
            config, (R"({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16)" + more + "}}").c_str());
    };
    CHECK(integer(yarn(""), "qwen2.rope.scaling.original_context_length") == 16);
    CHECK(yarn("").find("qwen2.rope.scaling.attn_factor") == nullptr);
    CHECK(real(yarn(R"(, "attention_factor": 1.0)"), "qwen2.rope.scaling.attn_factor") == doctest::Approx(1.0f / growth));
    // R1-0528-Qwen3-8B: multiplies YaRN's own to 1.
    CHECK(real(yarn(R"(, "attn_factor": 0.8782488562869419)"), "qwen2.rope.scaling.attn_factor") == doctest::Approx(1.0f / growth));
    CHECK(real(yarn(R"(, "beta_fast": 16, "beta_slow": 2)"), "qwen2.rope.scaling.yarn_beta_fast") == 16.0f);

    const auto deepseek = [&](const std::string& more) {
        const std::string patch =
            R"({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16)" + more + "}}";
        return keys_of(deepseek_config(), patch.c_str());
    };
    CHECK(real(deepseek(""), "deepseek2.rope.scaling.attn_factor") == doctest::Approx(growth));
    CHECK(real(deepseek(""), "deepseek2.rope.scaling.yarn_log_multiplier") == 0.0f);
    const auto both = deepseek(R"(, "mscale": 2.0, "mscale_all_dim": 0.5)");
    CHECK(real(both, "deepseek2.rope.scaling.attn_factor") == doctest::Approx((1 + 0.2 * std::log(4.0)) / (1 + 0.05 * std::log(4.0))));
    CHECK(real(both, "deepseek2.rope.scaling.yarn_log_multiplier") == doctest::Approx(0.05));
}

TEST_CASE("hf_config: what the engine does not compute is refused, with the field's name") {
    const Json dense = qwen2_config(), experts = deepseek_config();
    refuses_config(dense, R"({"model_type": null})", kFormat, "model_type: missing");
    refuses_config(dense, R"({"model_type": "gpt2"})", kUnsupported, "model_type: 'gpt2'; known are");
    refuses_config(dense, R"({"hidden_size": null})", kFormat, "hidden_size: missing");
    refuses_config(dense, R"({"hidden_size": "8"})", kFormat, "hidden_size: \"8\" is not an integer from 1 to 1048576");
    refuses_config(dense, R"({"hidden_size": 8.5})", kFormat, "hidden_size: 8.5 is not an integer");
    refuses_config(dense, R"({"hidden_size": 0})", kFormat, "hidden_size: 0 is not an integer from 1");
    refuses_config(dense, R"({"num_hidden_layers": 1e9})", kFormat, "num_hidden_layers: 1000000000.0 is not an integer from 1 to 1024");
    refuses_config(dense, R"({"vocab_size": 18446744073709551615})", kFormat, "vocab_size: 18446744073709551615 is not an integer");
    refuses_config(dense, R"({"rms_norm_eps": "x"})", kFormat, "rms_norm_eps: \"x\" is not a number from 0 to 1");
    refuses_config(dense, R"({"tie_word_embeddings": 1})", kFormat, "tie_word_embeddings: 1 is neither true nor false");
    refuses_config(dense, R"({"hidden_act": "gelu"})", kUnsupported, "hidden_act: 'gelu'");
    refuses_config(dense, R"({"use_sliding_window": true})", kUnsupported, "use_sliding_window");
    refuses_config(dense, R"({"layer_types": ["sliding_attention"]})", kUnsupported, "layer_types");
    refuses_config(dense, R"({"partial_rotary_factor": 0.5})", kUnsupported, "partial_rotary_factor");
    refuses_config(dense, R"({"quantization_config": {"quant_method": "gptq"}})", kUnsupported, "quantization_config.quant_method: 'gptq'");
    refuses_config(dense, R"({"quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 64]}})", kUnsupported,
                   "quantization_config.weight_block_size");
    refuses_config(dense, R"({"rope_scaling": {"type": "longrope"}})", kUnsupported, "rope scaling: rope_type: 'longrope'");
    refuses_config(dense, R"({"rope_scaling": {"type": "yarn"}})", kFormat, "rope_scaling.factor: missing");
    refuses_config(dense, R"({"rope_scaling": {"type": "yarn", "factor": 0.5}})", kFormat,
                   "rope_scaling.factor: 0.5 is not a number from 1");
    refuses_config(dense, R"({"rope_scaling": {"type": "yarn", "factor": 2, "truncate": false}})", kUnsupported, "rope scaling: truncate");
    refuses_config(dense, R"({"rope_scaling": [1]})", kFormat, "rope_scaling: not an object");
    refuses_config(dense, R"({"rope_scaling": {"rope_type": "llama3", "factor": 8}})", kFormat, "rope_scaling.low_freq_factor: missing");
    refuses_config(experts, R"({"rope_interleave": false})", kUnsupported, "rope_interleave");
    refuses_config(experts, R"({"moe_layer_freq": 2})", kUnsupported, "moe_layer_freq");
    refuses_config(experts, R"({"topk_method": "other"})", kUnsupported, "topk_method: 'other'");
    refuses_config(experts, R"({"topk_method": "group_limited_greedy"})", kUnsupported, "topk_method: 'group_limited_greedy' with groups");
    refuses_config(experts, R"({"scoring_func": "tanh"})", kUnsupported, "scoring_func: 'tanh'");
    refuses_config(experts, R"({"num_experts_per_tok": 5})", kFormat, "num_experts_per_tok: 5 is not an integer from 1 to 4");
    refuses_config(dense, R"({"num_hidden_layers": 1024, "hidden_size": 1048576})", PONDER_STATUS_LIMIT, "norms and biases of");
}

TEST_CASE("hf_folder: layers that predict further tokens are kept, or not counted where the folder lacks them") {
    const Folder folder;
    folder.write("config.json", deepseek_config());
    const auto outline = ponder::read_model_outline(folder.path());
    REQUIRE_MESSAGE(outline, outline.error().message);
    CHECK(integer(outline->metadata, "deepseek2.block_count") == 3);
    CHECK(outline->find("blk.2.nextn.shared_head_head.weight") != nullptr);
    CHECK(outline->find("blk.2.ffn_up_exps.weight") != nullptr);
    CHECK(outline->find("blk.0.ffn_up_exps.weight") == nullptr);
}

TEST_CASE("hf_folder: templates, sampling and the ends of a generation come from the files beside the weights") {
    Qwen2Folder folder;
    folder.write("tokenizer_config.json", Json{{"chat_template", "{{ 1 }}"}});
    CHECK(**folder.open().metadata.get_string("tokenizer.chat_template") == "{{ 1 }}");
    folder.write("tokenizer_config.json",
                 Json::parse(R"({"chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]})"));
    CHECK(**folder.open().metadata.get_string("tokenizer.chat_template") == "yes");
    folder.write("tokenizer_config.json", Json{{"chat_template", 1}});
    folder.refuses(kFormat, "tokenizer_config.json: chat_template: neither a string nor a list");
    folder.write("chat_template.jinja", std::string("file"));
    CHECK(**folder.open().metadata.get_string("tokenizer.chat_template") == "file");

    folder.write("generation_config.json", Json::parse(R"({"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20})"));
    CHECK(real(folder.open().metadata, "general.sampling.temp") == 0.6f);
    CHECK(real(folder.open().metadata, "general.sampling.top_p") == 0.95f);
    CHECK(integer(folder.open().metadata, "general.sampling.top_k") == 20);
    folder.write("generation_config.json", Json::parse(R"({"do_sample": false, "temperature": 0.6})"));
    CHECK(folder.open().metadata.find("general.sampling.temp") == nullptr);
    folder.write("generation_config.json", Json::parse(R"({"do_sample": true, "temperature": "warm"})"));
    folder.refuses(kFormat, "generation_config.json: temperature: \"warm\" is not a number");
    folder.remove("generation_config.json");

    // Five tokens of a byte-level tokenizer that splits as GPT-2's.
    constexpr const char* kTokenizer = R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}, "decoder": {"type": "ByteLevel"},
        "added_tokens": [{"id": 3, "content": "<|end|>", "special": true}]})";
    folder.write("tokenizer.json", Json::parse(kTokenizer));
    folder.remove("tokenizer_config.json");
    folder.change({{"eos_token_id", {3, 2}}, {"bos_token_id", 3}});
    const ModelFile model = folder.open();
    CHECK(**model.metadata.get_string("tokenizer.ggml.pre") == "gpt-2");
    CHECK(integer(model.metadata, "tokenizer.ggml.eos_token_id") == 3);
    CHECK(integer(model.metadata, "tokenizer.ggml.eot_token_id") == 2);
    CHECK(integer(model.metadata, "tokenizer.ggml.bos_token_id") == 3);
    const auto tokens = model.metadata.get_strings("tokenizer.ggml.tokens");
    REQUIRE((tokens && *tokens && (*tokens)->size() == 5));
    CHECK((**tokens)[4] == "[PAD4]");
    Json larger = Json::parse(kTokenizer);
    larger["added_tokens"][0]["id"] = 5;
    folder.write("tokenizer.json", larger);
    folder.refuses(kFormat, "tokenizer.json: token '<|end|>' has id 5, but the model's vocabulary has 5 entries");
    folder.write("tokenizer.json", std::string("{"));
    folder.refuses(kFormat, "tokenizer.json: ");
}
