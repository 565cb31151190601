// SPDX-License-Identifier: Apache-2.0
// What conversions of Hugging Face models rearrange: rotary rows, attn_kv_b, experts that lie apart, FP8 with factors.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "convert_fixture.hpp"
#include "runtime/synth.hpp"

using namespace ponder;
using ponder_test::HandBuilt;
using ponder_test::mentions;
using ponder_test::random_values;
using ponder_test::TemporaryFolder;
using ponder_test::type_of;
using ponder_test::values_of;

namespace {

// Sizes of a small deepseek2 in the layout of its published weights.
constexpr int64_t kHeads = 3, kNope = 32, kRope = 16, kValue = 40, kLatent = 64;

HandBuilt latent_model() {
    HandBuilt built;
    built.key("general.architecture", "deepseek2");
    built.key("deepseek2.block_count", 1);
    built.key("deepseek2.attention.head_count", kHeads);
    built.key("deepseek2.attention.head_count_kv", kHeads);
    built.key("deepseek2.attention.kv_lora_rank", kLatent);
    built.key("deepseek2.attention.key_length", kNope + kRope);
    built.key("deepseek2.attention.value_length", kValue);
    built.key("deepseek2.rope.dimension_count", kRope);
    return built;
}

// kv_b [heads x (nope + value), latent] by rows: which value belongs where in the split tensors.
void check_split(const ModelFile& file, const std::vector<float>& kv_b, float tolerance) {
    CHECK(file.find("blk.0.attn_kv_b.weight") == nullptr);
    const StoredTensor* k_b = file.find("blk.0.attn_k_b.weight");
    const StoredTensor* v_b = file.find("blk.0.attn_v_b.weight");
    REQUIRE(k_b != nullptr);
    REQUIRE(v_b != nullptr);
    CHECK(k_b->dims == std::array<int64_t, 4>{kNope, kLatent, kHeads, 1});
    CHECK(v_b->dims == std::array<int64_t, 4>{kLatent, kValue, kHeads, 1});
    const auto keys = values_of(*k_b), values = values_of(*v_b);
    const auto stored = [&](int64_t row, int64_t latent) { return kv_b[static_cast<size_t>(row * kLatent + latent)]; };
    float worst = 0;
    for (int64_t head = 0; head < kHeads; ++head) {
        const int64_t first = head * (kNope + kValue);
        for (int64_t l = 0; l < kLatent; ++l) {
            for (int64_t i = 0; i < kNope; ++i) {
                const float key = keys[static_cast<size_t>((head * kLatent + l) * kNope + i)];
                worst = std::max(worst, std::abs(key - stored(first + i, l)));
            }
            for (int64_t i = 0; i < kValue; ++i) {
                const float value = values[static_cast<size_t>((head * kValue + i) * kLatent + l)];
                worst = std::max(worst, std::abs(value - stored(first + kNope + i, l)));
            }
        }
    }
    CHECK(worst <= tolerance);
}

uint32_t number(const ModelFile& file, const char* key) { return (*file.metadata.get_u32(key)).value_or(0); }

}  // namespace

TEST_CASE("convert: attn_kv_b is split, and the keys say so") {
    const auto kv_b = random_values(kHeads * (kNope + kValue) * kLatent, 3);
    const TemporaryFolder folder;
    for (const char* type : {"F32", "BF16", "Q8_0"}) {
        CAPTURE(type);
        HandBuilt built = latent_model();
        built.add("blk.0.attn_kv_b.weight", {kLatent, kHeads * (kNope + kValue)}, "F32", kv_b);
        const ModelFile file = built.convert(folder.path("out.gguf"), {.type = type});
        check_split(file, kv_b, type == std::string("F32") ? 0.0f : 0.02f);
        CHECK(type_of(file, "blk.0.attn_k_b.weight") == type);
        CHECK(number(file, "deepseek2.attention.key_length") == kLatent + kRope);
        CHECK(number(file, "deepseek2.attention.value_length") == kLatent);
        CHECK(number(file, "deepseek2.attention.key_length_mla") == kNope + kRope);
        CHECK(number(file, "deepseek2.attention.value_length_mla") == kValue);
        CHECK(number(file, "deepseek2.attention.head_count_kv") == 1);
        // A GGUF keeps its layout: the split one, and also a combined one.
        REQUIRE(convert_file(folder.path("out.gguf"), folder.path("again.gguf"), {}));
        CHECK(*read_file(folder.path("again.gguf"), 1 << 24) == *read_file(folder.path("out.gguf"), 1 << 24));
    }
}

TEST_CASE("convert: a GGUF with a combined attn_kv_b keeps it") {
    const TemporaryFolder folder;
    ponder_test::GgufBytes bytes;
    bytes.header(1, 6).key_string("general.architecture", "deepseek2").key_u32("deepseek2.attention.kv_lora_rank", 64);
    bytes.key_u32("deepseek2.attention.key_length", 48).key_u32("deepseek2.attention.value_length", 40);
    bytes.key_u32("deepseek2.attention.head_count", 3).key_u32("deepseek2.rope.dimension_count", 16);
    bytes.tensor("blk.0.attn_kv_b.weight", {64, 216}, 1, 0).pad().zeros(64 * 216 * 2);
    folder.write("in.gguf", bytes);
    REQUIRE(convert_file(folder.path("in.gguf"), folder.path("out.gguf"), {.type = "Q8_0"}));
    const auto file = read_gguf(folder.path("out.gguf"));
    REQUIRE(file);
    CHECK(type_of(*file, "blk.0.attn_kv_b.weight") == "Q8_0");
    CHECK(number(*file, "deepseek2.attention.key_length") == 48);
}

TEST_CASE("convert: shapes of attn_kv_b that the keys contradict are refused") {
    const auto kv_b = random_values(kHeads * (kNope + kValue) * kLatent, 3);
    HandBuilt wrong = latent_model();
    wrong.add("blk.0.attn_kv_b.weight", {kLatent / 2, 2 * kHeads * (kNope + kValue)}, "F32", kv_b);
    CHECK(mentions(wrong.refusal(), "blk.0.attn_kv_b.weight"));
    HandBuilt huge = latent_model();
    huge.key("deepseek2.attention.value_length", 0x7fffffff);
    huge.add("blk.0.attn_kv_b.weight", {kLatent, kHeads * (kNope + kValue)}, "F32", kv_b);
    CHECK(huge.refusal().status == PONDER_STATUS_FORMAT);
    HandBuilt rotary_only = latent_model();
    rotary_only.key("deepseek2.rope.dimension_count", kNope + kRope);
    rotary_only.add("blk.0.attn_kv_b.weight", {kLatent, kHeads * (kNope + kValue)}, "F32", kv_b);
    CHECK(mentions(rotary_only.refusal(), "rotary"));
}

TEST_CASE("convert: FP8 with factors becomes BF16, also where attn_kv_b is split") {
    // Codes of 8 bits; each block of 128 x 128 has its own factor.
    constexpr int64_t kRows = kHeads * (kNope + kValue);
    std::vector<std::byte> codes(kRows * kLatent);
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i * 37 % 120);  // no NaN
    const float factors[2] = {0.5f, 2.0f};                                                      // 216 rows: two blocks of them
    HandBuilt built = latent_model();
    StoredTensor& tensor = built.add_bytes("blk.0.attn_kv_b.weight", {kLatent, kRows}, "F8_E4M3", codes);
    tensor.scales.push_back(built.keep(std::as_bytes(std::span(factors))));
    built.add_bytes("blk.0.ffn_norm.weight", {kLatent}, "F8_E4M3", std::span(codes).first(kLatent));
    std::vector<float> exact(codes.size());
    find_quant_type(kF8E4M3)->decode(codes.data(), exact.data(), static_cast<int64_t>(codes.size()));
    for (size_t i = 0; i < exact.size(); ++i) exact[i] *= factors[i / kLatent / 128];
    const TemporaryFolder folder;
    const ModelFile file = built.convert(folder.path("out.gguf"));
    CHECK(type_of(file, "blk.0.attn_k_b.weight") == "BF16");
    CHECK(type_of(file, "blk.0.ffn_norm.weight") == "F32");
    CHECK(number(file, "general.file_type") == 32);
    check_split(file, exact, 0.0f);  // 4 significant bits and powers of two
}

TEST_CASE("convert: experts that lie apart become one tensor") {
    constexpr int64_t kExperts = 5, kCols = 256, kRows = 7;
    const auto values = random_values(kExperts * kCols * kRows, 8);
    for (const char* type : {"", "F32", "Q4_K_M", "Q8_0"}) {
        CAPTURE(type);
        HandBuilt built;
        built.key("general.architecture", "deepseek2");
        StoredTensor& tensor = built.add_bytes("blk.1.ffn_up_exps.weight", {kCols, kRows, kExperts}, "F32", {});
        for (size_t i = 0; i < kExperts; ++i) {
            const size_t n = kCols * kRows;
            tensor.slices.push_back(built.keep(std::as_bytes(std::span(values).subspan((kExperts - 1 - i) * n, n))));
        }
        const TemporaryFolder folder;
        const ModelFile file = built.convert(folder.path("out.gguf"), {.type = type});
        const auto found = values_of(*file.find("blk.1.ffn_up_exps.weight"));
        std::vector<float> exact;
        for (size_t i = kExperts; i-- > 0;)
            exact.insert(exact.end(), &values[i * kCols * kRows], &values[i * kCols * kRows] + kCols * kRows);
        CHECK(ponder_test::relative_error(exact, found) < (type == std::string("Q4_K_M") ? 0.09 : 0.006));
        CHECK((found == exact) == (type == std::string("") || type == std::string("F32")));
    }
}

TEST_CASE("convert: llama's rotary halves become adjacent pairs") {
    const TemporaryFolder folder;
    const std::string path = folder.path("pairs.gguf");
    REQUIRE(synthesize("tiny-llama", path, {.type = "F32", .seed = 12}));
    const auto pairs = read_gguf(path);
    REQUIRE(pairs);
    const int64_t head_dim = *(*pairs->metadata.get_u32("llama.rope.dimension_count"));
    // The same model as its published weights would have it, with a bias as some have: row j of each half is row 2j or 2j + 1 of a head.
    HandBuilt halves;
    for (const auto& entry : pairs->metadata.entries()) halves.model.metadata.set(entry.key, entry.value);
    halves.model.metadata.set("ponder.rope.halves", Value::from_bool(true));
    const auto to_halves = [&](const std::vector<float>& rows, int64_t n_cols) {
        std::vector<float> result(rows.size());
        for (int64_t row = 0; row < static_cast<int64_t>(rows.size()) / n_cols; ++row) {
            const int64_t head = row / head_dim, i = row % head_dim;
            const int64_t to = head * head_dim + (i % 2 == 0 ? i / 2 : head_dim / 2 + i / 2);
            std::copy_n(&rows[static_cast<size_t>(row * n_cols)], n_cols, &result[static_cast<size_t>(to * n_cols)]);
        }
        return result;
    };
    for (const StoredTensor& tensor : pairs->tensors) {
        const bool is_rotary = tensor.name.ends_with("attn_q.weight") || tensor.name.ends_with("attn_k.weight");
        const auto values = values_of(tensor);
        const auto bytes = is_rotary ? to_halves(values, tensor.dims[0]) : values;
        StoredTensor& added = halves.add_bytes(tensor.name, {}, "F32", std::as_bytes(std::span(bytes)));
        added.n_dims = tensor.n_dims;
        added.dims = tensor.dims;
    }
    const ModelFile file = halves.convert(folder.path("out.gguf"));
    CHECK(file.metadata.find("ponder.rope.halves") == nullptr);
    CHECK(*read_file(folder.path("out.gguf"), 1 << 24) == *read_file(path, 1 << 24));

    const auto bias = random_values(static_cast<size_t>(2 * head_dim), 4);
    halves.add("blk.0.attn_k.bias", {2 * head_dim}, "F32", to_halves(bias, 1));
    const ModelFile with_bias = halves.convert(folder.path("bias.gguf"), {.type = "Q8_0"});
    CHECK(values_of(*with_bias.find("blk.0.attn_k.bias")) == bias);

    halves.key("llama.rope.dimension_count", static_cast<uint32_t>(head_dim + 2));
    CHECK(mentions(halves.refusal(), "rotary"));
}

TEST_CASE("convert: long rows are cut into pieces of whole blocks") {
    constexpr size_t kCols = 150'016;  // more than two pieces; 586 blocks of 256
    const auto values = random_values(2 * kCols, 6);
    HandBuilt built;
    built.key("general.architecture", "llama");
    built.add("wide.weight", {static_cast<int64_t>(kCols), 2}, "F16", values);
    const auto& source = built.model.tensors[0];
    const auto exact = values_of(source);
    const TemporaryFolder folder;
    const ModelFile file = built.convert(folder.path("out.gguf"), {.type = "Q6_K", .n_threads = 2});
    std::vector<std::byte> whole(2 * kCols / 256 * 210);
    find_quant_type("Q6_K")->encode(exact.data(), whole.data(), 2 * kCols / 256, nullptr);
    CHECK(std::memcmp(file.find("wide.weight")->data.data(), whole.data(), whole.size()) == 0);
}
