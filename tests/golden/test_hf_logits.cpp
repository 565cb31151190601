// SPDX-License-Identifier: Apache-2.0
// Tiny Hugging Face folders, opened directly and converted, against a float64 forward pass that was itself held against transformers.
#include <filesystem>

#include "evaluate.hpp"
#include "hf_reference.hpp"
#include "npy.hpp"
#include "ponder/ponder.h"
#include "temp_file.hpp"
#include "test_data.hpp"

namespace {

using namespace ponder_test;

// Of the largest logit of a model. Float32 sums over a few hundred terms and a few layers err by some 1e-6 of it; a wrong pairing, scale,
// epsilon or expert by far more.
constexpr double kTolerance = 2e-5;

struct Reference {
    const HfModel* model;
    HfLogits logits;
    double largest;
};

const HfModels& all_models() {
    static const HfModels models = make_hf_models();
    return models;
}

const std::vector<Reference>& all_references() {
    static const std::vector<Reference> references = [] {
        std::vector<Reference> list;
        for (const HfModel& model : all_models().models) {
            HfLogits logits = reference_logits(model, all_models().tokens);
            double largest = 0.0;
            for (const double v : logits.values) largest = std::max(largest, std::fabs(v));
            list.push_back({&model, std::move(logits), largest});
        }
        return list;
    }();
    return references;
}

nlohmann::json read_expected() {
    const auto bytes = read_bytes(std::string(PONDER_SOURCE_DIR) + "/tests/golden/hf_expected.json");
    REQUIRE(bytes);
    return nlohmann::json::parse(*bytes, nullptr, false);
}

// A folder of a model that goes away with this object.
struct TempFolder {
    TempFile file{"model"};

    explicit TempFolder(const HfModel& model, size_t n_blanks = 0) {
        std::error_code error;
        REQUIRE(std::filesystem::create_directory(file.path(), error));
        REQUIRE(write_hf_folder(model, file.path(), n_blanks));
    }
};

void check_logits(const std::vector<float>& logits, const Reference& reference, const std::string& what) {
    const double worst = max_difference(logits, reference.logits.values);
    MESSAGE(reference.model->name << ", " << what << ": largest difference " << worst << " of " << reference.largest);
    CHECK(worst <= kTolerance * reference.largest);
}

}  // namespace

TEST_CASE("hf_reference: the models are those that transformers was asked about, and its float64 logits are ours") {
    const nlohmann::json expected = read_expected();
    REQUIRE(expected["models"].size() == all_references().size());
    REQUIRE(all_references().size() >= 11);
    for (size_t i = 0; i < all_references().size(); i++) {
        const Reference& reference = all_references()[i];
        const nlohmann::json& record = expected["models"][i];
        CAPTURE(reference.model->name);
        REQUIRE(record["name"] == reference.model->name);
        CHECK(std::stoull(record["digest"].get<std::string>(), nullptr, 16) == digest(*reference.model));
        CHECK(record["largest"].get<double>() == doctest::Approx(reference.largest).epsilon(1e-9));
        const size_t n_vocab = reference.model->config["vocab_size"];
        double worst = 0.0;
        for (const auto& row : record["rows"]) {
            const auto begin =
                reference.logits.values.begin() + row["position"].get<std::ptrdiff_t>() * static_cast<std::ptrdiff_t>(n_vocab);
            CHECK(std::max_element(begin, begin + static_cast<std::ptrdiff_t>(n_vocab)) - begin == row["argmax"].get<std::ptrdiff_t>());
            for (size_t k = 0; k < record["ids"].size(); k++) {
                const double ours = *(begin + record["ids"][k].get<std::ptrdiff_t>());
                worst = std::max(worst, std::fabs(ours - row["logits"][k].get<double>()));
            }
        }
        MESSAGE(reference.model->name << ": largest difference from transformers " << worst << ", routing margin "
                                      << reference.logits.smallest_margin);
        CHECK(worst <= 1e-9);
        CHECK(reference.logits.smallest_margin >= 1e-5);  // else float32 may choose other experts and the tests below mean nothing
    }
}

TEST_CASE("hf_reference: what a config says shows in the logits, so that a reader that misses it is found out") {
    struct Change {
        std::string model, patch;
    };
    const Change changes[] = {
        {"llama", R"({"rope_scaling": null})"},
        {"llama", R"({"rope_scaling": {"high_freq_factor": 2.0}})"},
        {"llama", R"({"rms_norm_eps": 1e-6})"},
        {"llama", R"({"rope_theta": 10000.0})"},
        {"llama-rope-parameters", R"({"rope_parameters": {"rope_type": "default"}})"},
        {"llama-rope-parameters", R"({"rope_parameters": {"rope_theta": 10000.0}})"},
        {"qwen2", R"({"rope_theta": 10000.0})"},
        {"qwen2-tied-linear", R"({"rope_scaling": null})"},
        {"qwen3", R"({"rope_scaling": null})"},
        {"qwen3", R"({"rope_scaling": {"attention_factor": 1.0}})"},
        {"qwen3-magnitude", R"({"rope_scaling": {"attention_factor": null}})"},
        {"qwen3-ramp", R"({"rope_scaling": {"beta_fast": null, "beta_slow": null}})"},
        {"deepseek-v3-fp8", R"({"rope_scaling": null})"},
        {"deepseek-v3-fp8", R"({"rope_scaling": {"mscale_all_dim": null}})"},
        {"deepseek-v3-fp8", R"({"n_group": 1, "topk_group": 1})"},
        {"deepseek-v3-fp8", R"({"norm_topk_prob": false})"},
        {"deepseek-v3-fp8", R"({"routed_scaling_factor": 1.0})"},
        {"deepseek-v3-fp8", R"({"topk_method": "greedy"})"},
        {"deepseek-v3-fp8", R"({"rms_norm_eps": 1e-5})"},
        {"deepseek-v3-bf16", R"({"scoring_func": "softmax"})"},
        {"deepseek-v2-lite", R"({"norm_topk_prob": true})"},
        {"deepseek-v2-lite", R"({"rope_scaling": {"mscale": 1.0, "mscale_all_dim": 1.0}})"},
    };
    for (const Change& change : changes) {
        CAPTURE(change.model);
        CAPTURE(change.patch);
        for (const Reference& reference : all_references()) {
            if (reference.model->name != change.model) continue;
            HfModel changed = *reference.model;
            changed.config.merge_patch(nlohmann::json::parse(change.patch));
            const double gap = max_difference(reference_logits(changed, all_models().tokens).values, reference.logits.values);
            MESSAGE(change.model << " with " << change.patch << ": " << gap / (kTolerance * reference.largest) << " times the tolerance");
            CHECK(gap > 3.0 * kTolerance * reference.largest);
        }
    }
}

TEST_CASE("golden: folders of Hugging Face opened directly give the float64 logits, whole, in chunks and token by token") {
    const std::vector<int32_t>& tokens = all_models().tokens;
    for (const Reference& reference : all_references()) {
        CAPTURE(reference.model->name);
        const TempFolder folder(*reference.model);
        const std::string& path = folder.file.path();
        const auto whole = evaluate(path, tokens, tokens.size(), 2);
        check_logits(whole, reference, "folder");
        CHECK(evaluate(TempFolder(*reference.model, 1).file.path(), tokens, tokens.size(), 2) == whole);
        for (const size_t chunk : {size_t{1}, size_t{3}, size_t{11}}) {
            const double worst = max_difference(evaluate(path, tokens, chunk, chunk == 3 ? 1 : 2), whole);
            MESSAGE(reference.model->name << ", chunks of " << chunk << ": largest difference from the whole " << worst);
            CHECK(worst <= kTolerance * reference.largest);
        }
    }
}

TEST_CASE("golden: converted folders of Hugging Face give the float64 logits") {
    const std::vector<int32_t>& tokens = all_models().tokens;
    for (const Reference& reference : all_references()) {
        CAPTURE(reference.model->name);
        const TempFolder folder(*reference.model);
        // F32 holds all that a folder does; BF16 all that a folder of BF16 does.
        for (const char* type : {"F32", "BF16"}) {
            if (std::string(type) != "F32" && reference.model->stored != type) continue;
            const TempFile out("converted.gguf");
            ponder_convert_params params = PONDER_CONVERT_PARAMS_INIT;
            params.type = type;
            ponder_error error{};
            const ponder_status status = ponder_file_convert(folder.file.path().c_str(), out.path().c_str(), &params, &error);
            REQUIRE_MESSAGE(status == PONDER_STATUS_OK, error.message);
            check_logits(evaluate(out.path(), tokens, tokens.size(), 2), reference, type);
            check_logits(evaluate(out.path(), tokens, 5, 2), reference, "chunks of 5");
        }
    }
}
