// SPDX-License-Identifier: Apache-2.0
// Synthetic models with latent attention and experts: tensors, keys, and how they scale with layers and experts.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "format/gguf_reader.hpp"
#include "model/expert_groups.hpp"
#include "quant/quant.hpp"
#include "runtime/synth.hpp"
#include "runtime/synth_mix.hpp"
#include "runtime/synth_shapes.hpp"
#include "temp_file.hpp"

using ponder::ModelFile;
using ponder::StoredTensor;
using ponder::SynthParams;
using ponder::synth::ExpertShape;
using ponder::synth::SynthShape;

namespace {

using Dims = std::vector<int64_t>;

// A model that is gone with the test.
class Model {
  public:
    Model(const std::string& shape, const SynthParams& params) : place_("model.gguf") {
        const auto made = ponder::synthesize(shape, place_.path(), params);
        INFO((made ? "" : made.error().message));
        REQUIRE(made);
        auto file = ponder::read_gguf(place_.path());
        INFO((file ? "" : file.error().message));
        REQUIRE(file);
        file_ = std::move(*file);
    }
    const ModelFile& file() const { return file_; }
    std::string bytes() const { return *ponder::read_file(place_.path(), size_t{1} << 30); }
    bool has(const std::string& name) const { return file_.find(name) != nullptr; }
    const StoredTensor& tensor(const std::string& name) const {
        const StoredTensor* found = file_.find(name);
        REQUIRE_MESSAGE(found != nullptr, name);
        return *found;
    }
    Dims dims(const std::string& name) const {
        const StoredTensor& t = tensor(name);
        return Dims(t.dims.begin(), t.dims.begin() + t.n_dims);
    }
    int64_t key(const std::string& name) const {
        const auto value = file_.metadata.get_i64("deepseek2." + name);
        REQUIRE(value);
        return value->value_or(-1);
    }
    float real_key(const std::string& name) const {
        const auto value = file_.metadata.get_f32("deepseek2." + name);
        REQUIRE(value);
        return value->value_or(-1.0f);
    }
    std::vector<float> values(const std::string& name) const {
        const StoredTensor& t = tensor(name);
        std::vector<float> values(static_cast<size_t>(t.dims[0] * t.dims[1] * t.dims[2]));
        for (int64_t i = 0; i < t.dims[2]; ++i) {
            t.decode_rows(i, 0, t.dims[1], values.data() + static_cast<size_t>(i * t.dims[0] * t.dims[1]));
        }
        return values;
    }
    double deviation(const std::string& name) const {
        double squares = 0;
        const std::vector<float> all = values(name);
        for (const float x : all) squares += static_cast<double>(x) * static_cast<double>(x);
        return std::sqrt(squares / static_cast<double>(all.size()));
    }

  private:
    ponder_test::TempFile place_;
    ModelFile file_;
};

ExpertShape resized_experts(const char* shape, int32_t n_layers, int32_t n_experts) {
    const auto resized = ponder::synth::resize_shape(**ponder::synth::find_synth_shape(shape), n_layers, n_experts);
    REQUIRE(resized);
    return resized->experts;
}

}  // namespace

TEST_CASE("synth_deepseek: tensors of V3, which has a latent query, groups and a selection bias") {
    const Model model("tiny-deepseek-v3", {});
    CHECK(model.file().tensors.size() == 3 + 3 * 10 + 1 * 3 + 2 * 8);
    CHECK(model.dims("blk.2.attn_q_a.weight") == Dims{128, 64});
    CHECK(model.dims("blk.2.attn_q_a_norm.weight") == Dims{64});
    CHECK(model.dims("blk.2.attn_q_b.weight") == Dims{64, 4 * 64});
    CHECK(model.dims("blk.2.attn_kv_a_mqa.weight") == Dims{128, 96 + 32});
    CHECK(model.dims("blk.2.attn_kv_a_norm.weight") == Dims{96});
    CHECK(model.dims("blk.2.attn_k_b.weight") == Dims{32, 96, 4});
    CHECK(model.dims("blk.2.attn_v_b.weight") == Dims{96, 32, 4});
    CHECK(model.dims("blk.2.attn_output.weight") == Dims{4 * 32, 128});
    CHECK(model.dims("blk.0.ffn_down.weight") == Dims{256, 128});
    CHECK(!model.has("blk.0.ffn_gate_inp.weight"));
    CHECK(!model.has("blk.1.ffn_down.weight"));
    CHECK(!model.has("blk.2.attn_q.weight"));
    CHECK(model.dims("blk.1.ffn_gate_inp.weight") == Dims{128, 16});
    CHECK(model.dims("blk.1.exp_probs_b.bias") == Dims{16});
    CHECK(model.dims("blk.1.ffn_gate_exps.weight") == Dims{128, 64, 16});
    CHECK(model.dims("blk.1.ffn_up_exps.weight") == Dims{128, 64, 16});
    CHECK(model.dims("blk.1.ffn_down_exps.weight") == Dims{64, 128, 16});
    CHECK(model.dims("blk.1.ffn_up_shexp.weight") == Dims{128, 64});
    CHECK(model.dims("blk.1.ffn_down_shexp.weight") == Dims{64, 128});
}

TEST_CASE("synth_deepseek: tensors of V2-Lite, which has neither, and two shared experts") {
    const Model model("tiny-deepseek-v2", {});
    CHECK(model.file().tensors.size() == 3 + 3 * 8 + 1 * 3 + 2 * 7);
    CHECK(model.dims("blk.1.attn_q.weight") == Dims{64, 2 * 64});
    CHECK(!model.has("blk.1.attn_q_a.weight"));
    CHECK(!model.has("blk.1.exp_probs_b.bias"));
    CHECK(model.dims("blk.1.ffn_down_exps.weight") == Dims{32, 64, 8});
    CHECK(model.dims("blk.1.ffn_gate_shexp.weight") == Dims{64, 2 * 32});
    CHECK(model.key("attention.q_lora_rank") == -1);
    CHECK(model.key("expert_gating_func") == 1);
    CHECK(model.key("expert_group_count") == 1);
    CHECK(model.key("expert_shared_count") == 2);
    CHECK(**model.file().metadata.get_bool("deepseek2.expert_weights_norm") == false);
    CHECK(model.real_key("expert_weights_scale") == 1.0f);
    CHECK(model.real_key("rope.scaling.yarn_log_multiplier") == 0.0707f);
}

TEST_CASE("synth_deepseek: keys are those of files with split latent projections") {
    const Model model("tiny-deepseek-v3", {});
    CHECK(**model.file().metadata.get_string("general.architecture") == "deepseek2");
    CHECK(model.key("block_count") == 3);
    CHECK(model.key("vocab_size") == 608);
    CHECK(model.key("attention.head_count") == 4);
    CHECK(model.key("attention.head_count_kv") == 1);
    CHECK(model.key("attention.q_lora_rank") == 64);
    CHECK(model.key("attention.kv_lora_rank") == 96);
    CHECK(model.key("attention.key_length") == 96 + 32);
    CHECK(model.key("attention.value_length") == 96);
    CHECK(model.key("attention.key_length_mla") == 64);
    CHECK(model.key("attention.value_length_mla") == 32);
    CHECK(model.key("rope.dimension_count") == 32);
    CHECK(model.key("leading_dense_block_count") == 1);
    CHECK(model.key("feed_forward_length") == 256);
    CHECK(model.key("expert_feed_forward_length") == 64);
    CHECK(model.key("expert_count") == 16);
    CHECK(model.key("expert_used_count") == 4);
    CHECK(model.key("expert_shared_count") == 1);
    CHECK(model.key("expert_group_count") == 4);
    CHECK(model.key("expert_group_used_count") == 2);
    CHECK(model.key("expert_gating_func") == 2);
    CHECK(**model.file().metadata.get_bool("deepseek2.expert_weights_norm") == true);
    CHECK(model.real_key("expert_weights_scale") == 2.5f);
    CHECK(**model.file().metadata.get_string("deepseek2.rope.scaling.type") == "yarn");
    CHECK(model.real_key("rope.scaling.factor") == 40.0f);
    CHECK(model.real_key("rope.scaling.yarn_log_multiplier") == 0.1f);
    CHECK(model.real_key("rope.scaling.yarn_beta_fast") == 32.0f);
    CHECK(model.real_key("rope.scaling.attn_factor") == -1.0f);
    CHECK(model.key("rope.scaling.original_context_length") == 4096);
    CHECK(**model.file().metadata.get_string("tokenizer.ggml.pre") == "deepseek-v3");
}

TEST_CASE("synth_deepseek: values keep activations in size") {
    const Model model("tiny-deepseek-v3", {.seed = 3});
    const double branch = 1 / std::sqrt(2.0 * 3);
    CHECK(model.deviation("blk.1.attn_k_b.weight") == doctest::Approx(1 / std::sqrt(96.0)).epsilon(0.03));
    CHECK(model.deviation("blk.1.attn_v_b.weight") == doctest::Approx(1 / std::sqrt(96.0)).epsilon(0.03));
    CHECK(model.deviation("blk.1.ffn_gate_inp.weight") == doctest::Approx(1 / std::sqrt(128.0)).epsilon(0.06));
    CHECK(model.deviation("blk.1.ffn_up_exps.weight") == doctest::Approx(1 / std::sqrt(128.0)).epsilon(0.02));
    // Four weights of 2.5 / 4 for outputs that together are half of the branch's variance.
    CHECK(model.deviation("blk.1.ffn_down_exps.weight") == doctest::Approx(branch * std::sqrt(0.5 * 4) / 2.5 / 8).epsilon(0.02));
    CHECK(model.deviation("blk.1.ffn_down_shexp.weight") == doctest::Approx(branch * std::sqrt(0.5) / 8).epsilon(0.03));
    CHECK(model.deviation("blk.1.exp_probs_b.bias") == doctest::Approx(0.05).epsilon(0.6));
    // Every expert has values of its own.
    const std::vector<float> experts = model.values("blk.1.ffn_up_exps.weight");
    std::set<float> firsts;
    for (size_t i = 0; i < 16; ++i) firsts.insert(experts[i * 128 * 64]);
    CHECK(firsts.size() == 16);
}

TEST_CASE("synth_deepseek: a seed fixes the file's bytes, whatever the number of threads") {
    const std::string one = Model("tiny-deepseek-v3", {.type = "Q8_0", .seed = 7, .n_threads = 1}).bytes();
    CHECK(one == Model("tiny-deepseek-v3", {.type = "Q8_0", .seed = 7, .n_threads = 3}).bytes());
    CHECK(one != Model("tiny-deepseek-v3", {.type = "Q8_0", .seed = 8, .n_threads = 3}).bytes());
}

TEST_CASE("synth_deepseek: router, bias and norms stay F32; experts and short rows are quantised") {
    const Model model("tiny-deepseek-v3", {.type = "Q4_K_M"});
    const auto type_name = [&](const char* tensor) { return std::string(ponder::find_quant_type(model.tensor(tensor).type)->name); };
    CHECK(type_name("blk.1.ffn_gate_inp.weight") == "F32");
    CHECK(type_name("blk.1.exp_probs_b.bias") == "F32");
    CHECK(type_name("blk.1.attn_kv_a_norm.weight") == "F32");
    CHECK(type_name("blk.1.attn_k_b.weight") != "F32");
    CHECK(type_name("blk.1.ffn_gate_exps.weight") != "F32");
    CHECK(type_name("blk.0.ffn_down.weight").ends_with("_K"));
    CHECK(model.dims("blk.1.ffn_gate_exps.weight") == Dims{128, 64, 16});
}

TEST_CASE("synth_shapes: R1 has as many tensors as published files without a prediction layer") {
    const SynthShape& shape = **ponder::synth::find_synth_shape("deepseek-r1");
    CHECK(ponder::synth::list_synth_tensors(shape, shape.n_layers).size() == 1086);
}

TEST_CASE("synth_shapes: layers and experts scale what depends on them") {
    CHECK(resized_experts("deepseek-r1", 0, 0).n_leading_dense == 3);
    CHECK(resized_experts("deepseek-r1", 32, 0).n_leading_dense == 2);
    CHECK(resized_experts("deepseek-r1", 4, 0).n_leading_dense == 1);
    CHECK(resized_experts("deepseek-r1", 100, 0).n_leading_dense == 3);
    CHECK(resized_experts("deepseek-v2-lite", 0, 0).n_leading_dense == 1);
    struct Case {
        int32_t n_experts, n_used, n_groups, n_groups_used;
    };
    for (const Case& c : {Case{256, 8, 8, 4}, Case{64, 8, 8, 4}, Case{32, 8, 8, 4}, Case{16, 8, 8, 4}, Case{20, 8, 5, 2}, Case{12, 8, 6, 4},
                          Case{8, 8, 1, 1}, Case{6, 6, 1, 1}, Case{17, 8, 1, 1}, Case{2, 2, 1, 1}, Case{4096, 8, 8, 4}}) {
        CAPTURE(c.n_experts);
        const ExpertShape experts = resized_experts("deepseek-r1", 0, c.n_experts);
        CHECK(experts.n_experts == c.n_experts);
        CHECK(experts.n_used == c.n_used);
        CHECK(experts.n_groups == c.n_groups);
        CHECK(experts.n_groups_used == c.n_groups_used);
    }
    CHECK(resized_experts("deepseek-v2-lite", 0, 4).n_used == 4);
    CHECK(resized_experts("deepseek-v2-lite", 0, 4).n_groups == 1);
}

TEST_CASE("synth_deepseek: every number of experts makes a file whose groups the library accepts") {
    for (int32_t n_experts = 2; n_experts <= 17; ++n_experts) {
        CAPTURE(n_experts);
        const Model model("tiny-deepseek-v3", {.n_layers = 2, .n_experts = n_experts});
        CHECK(model.dims("blk.1.ffn_up_exps.weight") == Dims{128, 64, n_experts});
        const auto groups =
            ponder::read_expert_groups(model.file(), "deepseek2", model.key("expert_count"), model.key("expert_used_count"));
        INFO((groups ? "" : groups.error().message));
        CHECK(groups);
    }
}

TEST_CASE("synth_mix: rows that are no whole super-blocks get the type of smaller blocks that comes nearest") {
    const SynthShape& shape = **ponder::synth::find_synth_shape("deepseek-v2-lite");
    auto tensors = ponder::synth::list_synth_tensors(shape, shape.n_layers);
    REQUIRE(ponder::synth::assign_types(**ponder::synth::find_type_mix("Q4_K_M"), shape, shape.n_layers, tensors));
    std::map<std::string, std::string> types;
    for (const auto& tensor : tensors) types[tensor.name] = ponder::find_quant_type(tensor.type)->name;
    CHECK(types.at("blk.1.attn_k_b.weight") == "Q5_0");
    CHECK(types.at("blk.1.attn_v_b.weight").ends_with("_K"));
    CHECK(types.at("blk.1.ffn_gate_exps.weight") == "Q4_K");
    CHECK(types.at("blk.1.ffn_gate_inp.weight") == "F32");
}
