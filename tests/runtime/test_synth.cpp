// SPDX-License-Identifier: Apache-2.0
// Synthetic models: what their files hold, that a seed fixes every byte, and what is refused or stopped.
#include "runtime/synth.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "format/gguf_reader.hpp"
#include "model/rope.hpp"
#include "quant/quant.hpp"
#include "runtime/synth_mix.hpp"
#include "runtime/synth_shapes.hpp"
#include "runtime/synth_vocabulary.hpp"
#include "test_data.hpp"

using ponder::ModelFile;
using ponder::QuantType;
using ponder::StoredTensor;
using ponder::SynthParams;
using ponder::synth::SynthShape;
using ponder::synth::SynthTensor;
using ponder::synth::TypeMix;
using ponder::synth::Vocabulary;

namespace {

// A folder of its own that goes with the test.
class TempFolder {
  public:
    TempFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "ponder-synth-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TempFolder() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    bool is_empty() const { return std::filesystem::is_empty(path_); }

  private:
    std::string path_;
};

std::string make(const TempFolder& folder, const std::string& shape, const SynthParams& params, const std::string& name = "model.gguf") {
    const auto made = ponder::synthesize(shape, folder.file(name), params);
    INFO(made.error().message);
    REQUIRE(made);
    return folder.file(name);
}

ModelFile open(const std::string& path) {
    auto file = ponder::read_gguf(path);
    INFO((file ? "" : file.error().message));
    REQUIRE(file);
    return std::move(*file);
}

std::string bytes_of(const std::string& path) { return *ponder::read_file(path, size_t{1} << 30); }

ponder_status status_of(const std::string& shape, const SynthParams& params, const std::string& part_of_message) {
    const TempFolder folder;
    const auto made = ponder::synthesize(shape, folder.file("model.gguf"), params);
    REQUIRE_FALSE(made);
    CHECK(folder.is_empty());
    INFO(made.error().message);
    CHECK(made.error().message.find(part_of_message) != std::string::npos);
    return made.error().status;
}

std::vector<float> decode(const StoredTensor& tensor) {
    const QuantType& type = *ponder::find_quant_type(tensor.type);
    const int64_t n = tensor.dims[0] * tensor.dims[1];
    std::vector<float> values(static_cast<size_t>(n));
    type.decode(tensor.data.data(), values.data(), n / type.block_len);
    return values;
}

std::string type_name(const ModelFile& file, const std::string& tensor) {
    const StoredTensor* found = file.find(tensor);
    REQUIRE_MESSAGE(found != nullptr, tensor);
    return ponder::find_quant_type(found->type)->name;
}

// Types by tensor name of a mix for a shape, without making the file.
std::map<std::string, std::string> planned_types(const std::string& shape_name, const std::string& mix_name, int32_t n_layers = 0) {
    const SynthShape& shape = **ponder::synth::find_synth_shape(shape_name);
    if (n_layers == 0) n_layers = shape.n_layers;
    auto tensors = ponder::synth::list_synth_tensors(shape, n_layers);
    REQUIRE(ponder::synth::assign_types(**ponder::synth::find_type_mix(mix_name), shape, n_layers, tensors));
    std::map<std::string, std::string> types;
    for (const SynthTensor& tensor : tensors) types[tensor.name] = ponder::find_quant_type(tensor.type)->name;
    return types;
}

}  // namespace

TEST_CASE("synth: a tiny model of each architecture reads back with its tensors") {
    struct Case {
        const char* shape;
        size_t n_tensors;
        int64_t q_width;
    };
    for (const Case& c : {Case{"tiny-llama", 21, 64}, Case{"tiny-qwen2", 27, 64}, Case{"tiny-qwen3", 25, 128}}) {
        CAPTURE(c.shape);
        const TempFolder folder;
        const ModelFile file = open(make(folder, c.shape, {}));
        CHECK(file.tensors.size() == c.n_tensors);
        const std::string architecture = std::string(c.shape).substr(5);
        CHECK(**file.metadata.get_string("general.architecture") == architecture);
        CHECK(**file.metadata.get_u32("general.file_type") == 0);
        CHECK(**file.metadata.get_u32(architecture + ".block_count") == 2);
        CHECK(**file.metadata.get_u32(architecture + ".attention.head_count_kv") == 2);
        const StoredTensor* q = file.find("blk.1.attn_q.weight");
        REQUIRE(q != nullptr);
        CHECK(q->n_dims == 2);
        CHECK(q->dims[0] == 64);
        CHECK(q->dims[1] == c.q_width);
        CHECK(file.find("blk.1.attn_output.weight")->dims[0] == c.q_width);
        CHECK(file.find("output.weight")->dims[1] == 608);
        CHECK(file.find("token_embd.weight")->dims[1] == 608);
        CHECK((file.find("blk.0.attn_k.bias") != nullptr) == (architecture == "qwen2"));
        CHECK((file.find("blk.0.attn_q_norm.weight") != nullptr) == (architecture == "qwen3"));
        for (const StoredTensor& tensor : file.tensors) CHECK(type_name(file, tensor.name) == "F32");
    }
}

TEST_CASE("synth: values have the statistics that keep activations in size") {
    const TempFolder folder;
    const ModelFile file = open(make(folder, "tiny-llama", {.seed = 9}));
    const auto moments = [&](const char* name) {
        const auto values = decode(*file.find(name));
        double sum = 0, squares = 0;
        for (const float x : values) sum += static_cast<double>(x), squares += static_cast<double>(x) * static_cast<double>(x);
        const double mean = sum / static_cast<double>(values.size());
        return std::pair(mean, std::sqrt(squares / static_cast<double>(values.size()) - mean * mean));
    };
    CHECK(moments("token_embd.weight").second == doctest::Approx(1.0).epsilon(0.02));
    CHECK(moments("blk.0.ffn_up.weight").second == doctest::Approx(1 / std::sqrt(64.0)).epsilon(0.03));
    CHECK(moments("blk.0.ffn_down.weight").second == doctest::Approx(0.5 / std::sqrt(128.0)).epsilon(0.03));
    CHECK(moments("output.weight").second == doctest::Approx(3 / std::sqrt(64.0)).epsilon(0.02));
    CHECK(std::abs(moments("output.weight").first) < 0.01);
    CHECK(moments("output_norm.weight").first == doctest::Approx(1.0).epsilon(0.06));
    // No two blocks or tensors repeat each other.
    CHECK(decode(*file.find("blk.0.ffn_up.weight")) != decode(*file.find("blk.1.ffn_up.weight")));
    CHECK(decode(*file.find("blk.0.ffn_up.weight")) != decode(*file.find("blk.0.ffn_gate.weight")));
}

TEST_CASE("synth: stored types of tiny models, and their errors") {
    for (const char* type : {"F16", "BF16", "Q8_0", "Q4_0"}) {
        CAPTURE(type);
        const TempFolder folder;
        const ModelFile exact = open(make(folder, "tiny-qwen3", {.seed = 4}, "exact.gguf"));
        const ModelFile file = open(make(folder, "tiny-qwen3", {.type = type, .seed = 4}));
        CHECK(type_name(file, "blk.0.attn_q.weight") == type);
        CHECK(type_name(file, "blk.0.attn_norm.weight") == "F32");
        CHECK(type_name(file, "output.weight") == (type == std::string("Q4_0") ? "Q8_0" : type));
        // The same draws, rounded.
        const auto a = decode(*exact.find("blk.1.ffn_down.weight")), b = decode(*file.find("blk.1.ffn_down.weight"));
        double error = 0, power = 0;
        for (size_t i = 0; i < a.size(); ++i) {
            error += std::pow(static_cast<double>(a[i] - b[i]), 2);
            power += std::pow(static_cast<double>(a[i]), 2);
        }
        CHECK(error / power < (type == std::string("Q4_0") ? 1e-2 : 1e-4));
    }
    // Rows of 64 are no super-blocks.
    const TempFolder folder;
    const ModelFile file = open(make(folder, "tiny-llama", {.type = "Q4_K_M"}));
    CHECK(type_name(file, "blk.0.attn_q.weight") == "Q5_0");
    CHECK(type_name(file, "output.weight") == "Q8_0");
}

TEST_CASE("synth: a seed fixes the file's bytes, whatever the number of threads") {
    const TempFolder folder;
    const std::string one = bytes_of(make(folder, "tiny-qwen2", {.type = "Q8_0", .seed = 7, .n_threads = 1}));
    CHECK(one == bytes_of(make(folder, "tiny-qwen2", {.type = "q8_0", .seed = 7, .n_threads = 3})));
    CHECK(one != bytes_of(make(folder, "tiny-qwen2", {.type = "Q8_0", .seed = 8, .n_threads = 3})));
}

TEST_CASE("synth: what is refused, and by which status") {
    CHECK(status_of("gpt-5", {}, "no shape \"gpt-5\"; there are r1-distill-qwen-1.5b,") == PONDER_STATUS_NOT_FOUND);
    CHECK(status_of("tiny-llama", {.type = "Q9_Z"}, "no type mix \"Q9_Z\"; there are F32,") == PONDER_STATUS_UNSUPPORTED);
    CHECK(status_of("tiny-llama", {.n_layers = -1}, "n_layers is -1") == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(status_of("tiny-llama", {.n_layers = 2000}, "the limit is 1024") == PONDER_STATUS_LIMIT);
    CHECK(status_of("tiny-llama", {.n_experts = 8}, "has no experts") == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(status_of("tiny-deepseek-v3", {.n_experts = -1}, "n_experts is -1") == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(status_of("tiny-deepseek-v3", {.n_experts = 1}, "it must be at least 2") == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(status_of("tiny-deepseek-v3", {.n_experts = 5000}, "the limit is 4096") == PONDER_STATUS_LIMIT);
    CHECK(status_of("tiny-llama", {.tokenizer_path = "/nonexistent/tokenizer.json"}, "/nonexistent/tokenizer.json") == PONDER_STATUS_IO);
    const auto made = ponder::synthesize("tiny-llama", "/nonexistent/model.gguf", {});
    REQUIRE_FALSE(made);
    CHECK(made.error().status == PONDER_STATUS_IO);
}

TEST_CASE("synth: progress rises to 1, and stopping it leaves no file") {
    std::vector<double> shares;
    const TempFolder folder;
    const std::string path = make(folder, "tiny-qwen3", {.on_progress = [&](double share) { return shares.push_back(share), true; }});
    CHECK(shares.size() >= 25);
    CHECK(shares.back() == 1.0);
    for (size_t i = 1; i < shares.size(); ++i) CHECK(shares[i] > shares[i - 1]);
    const std::string before = bytes_of(path);
    const auto stopped = ponder::synthesize("tiny-qwen3", path, {.seed = 1, .on_progress = [](double share) { return share < 0.5; }});
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().status == PONDER_STATUS_CANCELLED);
    CHECK(bytes_of(path) == before);
    CHECK(status_of("tiny-qwen3", {.on_progress = [](double) { return false; }}, "cancelled") == PONDER_STATUS_CANCELLED);
}

TEST_CASE("synth: layers can be left out or added") {
    const TempFolder folder;
    const ModelFile file = open(make(folder, "tiny-llama", {.n_layers = 5}));
    CHECK(**file.metadata.get_u32("llama.block_count") == 5);
    CHECK(file.find("blk.4.ffn_up.weight") != nullptr);
    CHECK(file.find("blk.5.ffn_up.weight") == nullptr);
}

TEST_CASE("synth_mix: Q4_K_M gives more bits to the field's layers") {
    const auto types = planned_types("r1-distill-qwen-1.5b", "Q4_K_M");
    std::set<int> more_bits;
    for (int i = 0; i < 28; ++i) {
        const std::string blk = "blk." + std::to_string(i) + ".";
        CHECK(types.at(blk + "attn_v.weight") == types.at(blk + "ffn_down.weight"));
        CHECK(types.at(blk + "attn_q.weight") == "Q4_K");
        CHECK(types.at(blk + "attn_q.bias") == "F32");
        if (types.at(blk + "attn_v.weight") == "Q6_K") more_bits.insert(i);
    }
    CHECK(more_bits == std::set<int>{0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27});
    CHECK(types.at("output.weight") == "Q6_K");
    CHECK(types.at("token_embd.weight") == "Q4_K");
    CHECK(types.at("output_norm.weight") == "F32");
    CHECK(planned_types("r1-distill-llama-70b", "Q4_K_M").at("blk.10.attn_v.weight") == "Q5_K");
    CHECK(planned_types("r1-distill-llama-8b", "Q4_K_M").at("rope_freqs.weight") == "F32");
}

TEST_CASE("synth_mix: every mix fits every real shape") {
    for (const SynthShape& shape : ponder::synth::synth_shapes()) {
        if (std::string(shape.name).starts_with("tiny")) continue;
        for (const TypeMix& mix : ponder::synth::type_mixes()) {
            const auto types = planned_types(shape.name, mix.name);
            const bool has_experts = shape.experts.n_experts > 0;
            CHECK(types.at(has_experts ? "blk.3.ffn_gate_exps.weight" : "blk.0.ffn_gate.weight") == mix.base_type);
        }
    }
}

TEST_CASE("synth_shapes: parameter counts are the published ones") {
    const auto count = [](const char* name) {
        const SynthShape& shape = **ponder::synth::find_synth_shape(name);
        double n = 0;
        for (const SynthTensor& tensor : ponder::synth::list_synth_tensors(shape, shape.n_layers)) {
            n += static_cast<double>(tensor.n_cols) * static_cast<double>(tensor.total_rows());
        }
        return n / 1e9;
    };
    CHECK(count("r1-distill-qwen-1.5b") == doctest::Approx(1.777).epsilon(0.001));
    CHECK(count("r1-distill-qwen-7b") == doctest::Approx(7.616).epsilon(0.001));
    CHECK(count("r1-distill-qwen-14b") == doctest::Approx(14.770).epsilon(0.001));
    CHECK(count("r1-distill-qwen-32b") == doctest::Approx(32.764).epsilon(0.001));
    CHECK(count("r1-distill-llama-8b") == doctest::Approx(8.030).epsilon(0.001));
    CHECK(count("r1-distill-llama-70b") == doctest::Approx(70.554).epsilon(0.001));
    CHECK(count("r1-0528-qwen3-8b") == doctest::Approx(8.191).epsilon(0.001));
    CHECK(count("deepseek-r1") == doctest::Approx(671.026).epsilon(0.00001));
    CHECK(count("deepseek-v2-lite") == doctest::Approx(15.706).epsilon(0.001));
}

TEST_CASE("synth_shapes: Llama 3.1 rotation factors are the published ones") {
    const auto factors =
        ponder::llama3_divisors(128, 500000.0, {.factor = 8, .low_frequency = 1, .high_frequency = 4, .original_context = 8192});
    REQUIRE(factors.size() == 64);
    for (size_t i = 0; i < 29; ++i) CHECK(factors[i] == 1.0f);
    const std::vector<float> middle = {1.207484f, 1.553415f, 2.026313f, 2.694530f, 3.684253f, 5.257327f};
    for (size_t i = 0; i < middle.size(); ++i) CHECK(factors[29 + i] == doctest::Approx(middle[i]).epsilon(1e-5));
    for (size_t i = 35; i < 64; ++i) CHECK(factors[i] == 8.0f);
}

TEST_CASE("synth_vocabulary: made-up vocabularies have unique tokens, bytes, sound merges and R1's specials") {
    for (const SynthShape& shape : ponder::synth::synth_shapes()) {
        CAPTURE(shape.name);
        const Vocabulary vocabulary = ponder::synth::make_up_vocabulary(*shape.vocabulary, shape.n_vocab);
        CHECK(vocabulary.tokens.size() == static_cast<size_t>(shape.n_vocab));
        CHECK(vocabulary.kinds.size() == vocabulary.tokens.size());
        const std::set<std::string> unique(vocabulary.tokens.begin(), vocabulary.tokens.end());
        CHECK(unique.size() == vocabulary.tokens.size());
        CHECK(vocabulary.merges.size() > 300);
        for (const std::string& merge : vocabulary.merges) {
            const size_t space = merge.find(' ');
            CHECK(unique.count(merge.substr(0, space)) == 1);
            CHECK(unique.count(merge.substr(space + 1)) == 1);
            CHECK(unique.count(merge.substr(0, space) + merge.substr(space + 1)) == 1);
        }
        for (const char* text : {"<think>", "</think>", "<｜User｜>", "<｜Assistant｜>", "Ġthe", "Ġanswer", "Ċ", "Ā"})
            CHECK(unique.count(text) == 1);
        CHECK(vocabulary.tokens[static_cast<size_t>(*vocabulary.eos_id)] == "<｜end▁of▁sentence｜>");
        CHECK(vocabulary.tokens[static_cast<size_t>(*vocabulary.bos_id)] == "<｜begin▁of▁sentence｜>");
    }
}

TEST_CASE("synth_tokenizer: a tokenizer.json becomes the file's vocabulary") {
    const TempFolder folder;
    ponder::Metadata keys;
    const auto with_json = [&](const std::string& json) {
        std::ofstream(folder.file("tokenizer.json")) << json;
        return ponder::synth::set_tokenizer(folder.file("tokenizer.json"), ponder::synth::kTinyQwenVocabulary, 8, keys);
    };
    const auto good = with_json(
        R"({"added_tokens":[{"id":4,"content":"<｜end▁of▁sentence｜>","special":true},{"id":5,"content":"<think>","special":false},
            {"id":6,"content":"<|x|>","special":false}],
            "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},
            "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"abb":3},"merges":["a b",["ab","b"]]}})");
    REQUIRE_MESSAGE(good, good.error().message);
    const auto tokens = **keys.get_strings("tokenizer.ggml.tokens");
    const std::vector<std::string_view> expected = {"a", "b", "ab", "abb", "<｜end▁of▁sentence｜>", "<think>", "<|x|>", "[PAD7]"};
    CHECK(std::vector<std::string_view>(tokens.begin(), tokens.end()) == expected);
    const auto kinds = **keys.get_integers("tokenizer.ggml.token_type");
    for (const auto& [id, kind] : {std::pair{0, 1}, {3, 1}, {4, 3}, {5, 4}, {6, 3}, {7, 5}})
        CHECK(kinds.int64_at(static_cast<size_t>(id)) == kind);
    const auto merges = **keys.get_strings("tokenizer.ggml.merges");
    CHECK(std::vector<std::string_view>(merges.begin(), merges.end()) == std::vector<std::string_view>{"a b", "ab b"});
    CHECK(**keys.get_u32("tokenizer.ggml.eos_token_id") == 4);
    CHECK(keys.find("tokenizer.ggml.bos_token_id") == nullptr);
    CHECK(!**keys.get_bool("tokenizer.ggml.add_bos_token"));
    CHECK(keys.find("tokenizer.chat_template") != nullptr);

    const auto refused = with_json(
        R"({"model":{"vocab":{"a":0,"b":1},"merges":[]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
            "decoder":{"type":"ByteLevel"},"added_tokens":[{"id":8,"content":"z","special":true}]})");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == PONDER_STATUS_FORMAT);
    CHECK(refused.error().message.find("tokenizer.json: token 'z' has id 8, but the model's vocabulary has 8 entries") !=
          std::string::npos);
}
