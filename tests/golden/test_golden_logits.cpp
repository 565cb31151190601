// SPDX-License-Identifier: Apache-2.0
// Logits of tiny models against an independent implementation's, for every architecture and many stored types.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "evaluate.hpp"
#include "format/json.hpp"
#include "npy.hpp"
#include "test_data.hpp"

namespace {

using namespace ponder;
using ponder_test::evaluate;
using ponder_test::max_difference;

struct Case {
    std::string model, logits;
};

struct Index {
    std::vector<int32_t> tokens;
    std::vector<Case> cases;
};

Index read_index() {
    const auto text = read_file(ponder_test::data_path("golden/index.json"), 1 << 20);
    REQUIRE(text);
    const auto json = parse_json(*text);
    REQUIRE(json);
    Index index;
    for (const auto& token : (*json)["tokens"]) index.tokens.push_back(token.get<int32_t>());
    for (const auto& row : (*json)["models"]) {
        index.cases.push_back({row["model"], row["logits"]});
    }
    return index;
}

constexpr const char* kChunked[] = {"g-llama3.gguf", "g-qwen2.gguf", "g-qwen3.gguf", "g-quant-Q4_K_M.gguf"};

}  // namespace

TEST_CASE("golden: the reference's logits are within 2e-4 of an independent implementation's") {
    if (!ponder_test::has_data("golden/index.json")) return;
    const Index index = read_index();
    REQUIRE(index.cases.size() >= 22);
    for (const Case& c : index.cases) {
        CAPTURE(c.model);
        const auto expected = ponder_test::read_npy(ponder_test::data_path("golden/models/" + c.logits));
        REQUIRE(expected);
        const auto logits = evaluate(ponder_test::data_path("golden/models/" + c.model), index.tokens, index.tokens.size(), 2,
                                     PONDER_TYPE_F32, "reference");
        const float worst = max_difference(logits, expected->data);
        MESSAGE(c.model << ": largest difference " << worst);
        CHECK(worst <= 2e-4f);
    }
}

// Products in float32 are held to the reference's own limit; where a device rounds sources to half floats, the divergence says how much.
TEST_CASE("golden: the first GPU's logits are within 2e-4 of an independent implementation's") {
    if (!ponder_test::has_data("golden/index.json")) return;
    if (!ponder::choose_device({.backend = "vulkan"})) {
        ponder_test::n_skipped++;
        MESSAGE("skipped: no Vulkan device");
        return;
    }
    const Index index = read_index();
    for (const Case& c : index.cases) {
        CAPTURE(c.model);
        const auto expected = ponder_test::read_npy(ponder_test::data_path("golden/models/" + c.logits));
        REQUIRE(expected);
        for (const size_t chunk : {index.tokens.size(), size_t{1}}) {
            const auto logits =
                evaluate(ponder_test::data_path("golden/models/" + c.model), index.tokens, chunk, 2, PONDER_TYPE_F32, "vulkan/float32");
            const float worst = max_difference(logits, expected->data);
            MESSAGE(c.model << " in chunks of " << chunk << ": largest difference " << worst);
            CHECK(worst <= 2e-4f);
        }
        const auto logits =
            evaluate(ponder_test::data_path("golden/models/" + c.model), index.tokens, index.tokens.size(), 2, PONDER_TYPE_F32, "vulkan");
        CHECK(ponder_test::mean_divergence(expected->data, logits, logits.size() / index.tokens.size()) <= 1e-5);
    }
}

// Activations of 8 bits: an error of 0.5% a product, which these random models of small width do not average out. Stored float types are
// held to the reference's own limit where the cache has float32.
TEST_CASE("golden: the default backend stays near what a file means") {
    if (!ponder_test::has_data("golden/index.json")) return;
    const Index index = read_index();
    for (const Case& c : index.cases) {
        CAPTURE(c.model);
        const auto expected = ponder_test::read_npy(ponder_test::data_path("golden/models/" + c.logits));
        REQUIRE(expected);
        const bool is_float = c.model.find("quant") == std::string::npos || c.model.find("F16") != std::string::npos;
        for (const int32_t kv_type : {PONDER_TYPE_F32, PONDER_TYPE_F16}) {
            const auto logits = evaluate(ponder_test::data_path("golden/models/" + c.model), index.tokens, index.tokens.size(), 2, kv_type);
            const double divergence = ponder_test::mean_divergence(expected->data, logits, logits.size() / index.tokens.size());
            const float worst = max_difference(logits, expected->data);
            MESSAGE(c.model << ", cache of type " << kv_type << ": mean divergence " << divergence << ", largest difference " << worst);
            CHECK(divergence <= (is_float ? 5e-5 : 3e-4));
            if (is_float && kv_type == PONDER_TYPE_F32) CHECK(worst <= 2e-4f);
        }
    }
}

TEST_CASE("golden: chunks, single tokens and thread counts give the same bits on the reference") {
    if (!ponder_test::has_data("golden/index.json")) return;
    const Index index = read_index();
    for (const char* name : kChunked) {
        CAPTURE(name);
        const std::string path = ponder_test::data_path(std::string("golden/models/") + name);
        const auto whole = evaluate(path, index.tokens, index.tokens.size(), 2, PONDER_TYPE_F32, "reference");
        for (const size_t chunk : {size_t{1}, size_t{3}, size_t{7}, size_t{33}}) {
            const auto parts = evaluate(path, index.tokens, chunk, chunk == 3 ? 1 : 4, PONDER_TYPE_F32, "reference");
            CHECK(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)) == 0);
        }
    }
}

// Long chunks may take their sums in another order than short ones.
TEST_CASE("golden: thread counts give the same bits on the default backend, and chunks nearly so") {
    if (!ponder_test::has_data("golden/index.json")) return;
    const Index index = read_index();
    for (const char* name : kChunked) {
        CAPTURE(name);
        const std::string path = ponder_test::data_path(std::string("golden/models/") + name);
        const auto whole = evaluate(path, index.tokens, index.tokens.size(), 2);
        for (const size_t chunk : {size_t{1}, size_t{3}, size_t{33}, index.tokens.size()}) {
            const auto parts = evaluate(path, index.tokens, chunk, 1);
            for (const int n_threads : {2, 3}) CHECK(evaluate(path, index.tokens, chunk, n_threads) == parts);
            CHECK(ponder_test::mean_divergence(whole, parts, whole.size() / index.tokens.size()) <= 3e-4);
        }
    }
}

// Latent attention chooses the cheaper of two forms by the number of tokens, so chunks round differently.
TEST_CASE("golden: chunks and single tokens of latent attention agree within 1e-4") {
    if (!ponder_test::has_data("golden/index.json")) return;
    const Index index = read_index();
    for (const std::string name : {"g-r1.gguf", "g-v2lite.gguf"}) {
        CAPTURE(name);
        const std::string path = ponder_test::data_path(std::string("golden/models/") + name);
        const auto whole = evaluate(path, index.tokens, index.tokens.size(), 2);
        for (const size_t chunk : {size_t{1}, size_t{3}, size_t{7}, size_t{33}}) {
            const float worst = max_difference(whole, evaluate(path, index.tokens, chunk, chunk == 3 ? 1 : 4));
            MESSAGE(name << ", chunks of " << chunk << ": largest difference " << worst);
            CHECK(worst <= 1e-4f);
        }
    }
}

TEST_CASE("golden: f16 and q8_0 caches stay near the f32 cache") {
    if (!ponder_test::has_data("golden/index.json")) return;
    const Index index = read_index();
    const std::string path = ponder_test::data_path("golden/models/g-qwen2.gguf");
    const auto exact = evaluate(path, index.tokens, index.tokens.size(), 2);
    float largest = 0.0f;
    for (const float v : exact) largest = std::max(largest, std::fabs(v));
    // Half has 11 significant bits, q8_0 about 7: errors of values and scores, relative to the largest logit.
    const float f16 = max_difference(exact, evaluate(path, index.tokens, index.tokens.size(), 2, PONDER_TYPE_F16));
    const float q8 = max_difference(exact, evaluate(path, index.tokens, index.tokens.size(), 2, PONDER_TYPE_Q8_0));
    MESSAGE("f16 " << f16 << ", q8_0 " << q8 << ", largest logit " << largest);
    CHECK(f16 > 0.0f);
    CHECK(f16 < largest * 0x1p-9f);
    CHECK(q8 < largest * 0x1p-4f);
}
