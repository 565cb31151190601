// SPDX-License-Identifier: Apache-2.0
// Importance matrices in both forms, lies in their files, and what they do to a quantised tensor.
#include "runtime/importance.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "convert_fixture.hpp"

using namespace ponder;
using ponder_test::GgufBytes;
using ponder_test::HandBuilt;
using ponder_test::mentions;
using ponder_test::TemporaryFolder;

namespace {

struct LegacyEntry {
    std::string name;
    int32_t calls;
    std::vector<float> values;
};

GgufBytes legacy(const std::vector<LegacyEntry>& entries) {
    GgufBytes bytes;
    bytes.put(static_cast<int32_t>(entries.size()));
    for (const LegacyEntry& entry : entries) {
        bytes.put(static_cast<int32_t>(entry.name.size())).raw(entry.name).put(entry.calls).put(static_cast<int32_t>(entry.values.size()));
        for (const float value : entry.values) bytes.put(value);
    }
    bytes.put<int32_t>(7).put<int32_t>(4).raw("wiki");
    return bytes;
}

// One entry "x.weight": sums [n_cols, counts.size()].
GgufBytes gguf_form(const std::vector<float>& sums, const std::vector<float>& counts, const char* type = "imatrix") {
    const auto n = static_cast<int64_t>(counts.size());
    const auto sum_bytes = (sums.size() * 4 + 31) / 32 * 32;
    GgufBytes bytes;
    bytes.header(2, 1).key_string("general.type", type);
    bytes.tensor("x.weight.in_sum2", {static_cast<int64_t>(sums.size()) / n, n}, 0, 0)
        .tensor("x.weight.counts", {1, n}, 0, sum_bytes)
        .pad();
    for (const float value : sums) bytes.put(value);
    bytes.pad();
    for (const float value : counts) bytes.put(value);
    return bytes.pad();
}

std::vector<float> values_of(const GgufBytes& bytes, const char* name = "x.weight") {
    const auto matrix = ImportanceMatrix::read_bytes(bytes, "m");
    REQUIRE_MESSAGE(matrix, (matrix ? "" : matrix.error().message));
    REQUIRE(matrix->has(name));
    return matrix->values(name);
}

Error refusal(std::span<const std::byte> bytes) {
    const auto matrix = ImportanceMatrix::read_bytes(bytes, "m.dat");
    REQUIRE_FALSE(matrix);
    CHECK(mentions(matrix.error(), "m.dat"));
    return matrix.error();
}

}  // namespace

TEST_CASE("importance: both forms give means, an expert without samples gives ones") {
    CHECK(values_of(legacy({{"x.weight", 2, {2, 4, 6}}})) == std::vector<float>{1, 2, 3});
    CHECK(values_of(legacy({{"y", 1, {1}}, {"x.weight", 0, {2, 4}}})) == std::vector<float>{2, 4});
    CHECK(values_of(gguf_form({2, 4, 6, 8}, {2, 4})) == std::vector<float>{1, 2, 1.5f, 2});
    CHECK(values_of(gguf_form({2, 4, 6, 8, 9, 9}, {2, 0, 3})) == std::vector<float>{1, 2, 1, 1, 3, 3});
}

TEST_CASE("importance: sizes must be the tensor's") {
    const auto matrix = *ImportanceMatrix::read_bytes(gguf_form({2, 4, 6, 8, 9, 9}, {2, 0, 3}), "m");
    CHECK(matrix.n_entries() == 1);
    CHECK(matrix.check("x.weight", 2, 3));
    for (const auto& [n_cols, n_matrices] : {std::pair<int64_t, int64_t>{3, 2}, {6, 1}, {2, 2}, {1, 6}, {4, 1}}) {
        const auto checked = matrix.check("x.weight", n_cols, n_matrices);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().status == PONDER_STATUS_INVALID_ARGUMENT);
        CHECK(mentions(checked.error(), "'x.weight'"));
    }
    const auto old = *ImportanceMatrix::read_bytes(legacy({{"x.weight", 2, {2, 4, 6, 7}}}), "m");
    CHECK(old.check("x.weight", 2, 2));  // the older form does not say how its values are cut
    CHECK_FALSE(old.check("x.weight", 3, 1));
}

TEST_CASE("importance: lies in the older form") {
    const auto good = legacy({{"x.weight", 2, {2, 4, 6}}, {"y.weight", 1, {1, 2}}});
    const std::span<const std::byte> whole = good;
    // Without the last number of samples and the text of their file it is still whole; without more it is not.
    for (size_t n = 0; n < whole.size() - 12; ++n) {
        CAPTURE(n);
        CHECK_FALSE(ImportanceMatrix::read_bytes(whole.first(n), "m"));
    }
    CHECK(ImportanceMatrix::read_bytes(whole.first(whole.size() - 12), "m"));
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    for (const float bad : {nan, infinity, -1.0f}) CHECK(mentions(refusal(legacy({{"x.weight", 2, {2, bad, 6}}})), "'x.weight': value 1"));
    CHECK(refusal(legacy({})).status == PONDER_STATUS_FORMAT);
    CHECK(mentions(refusal(legacy({{"a", 1, {1}}, {"a", 1, {1}}})), "twice"));
    CHECK(mentions(refusal(legacy({{"", 1, {1}}})), "length of a name"));
    CHECK(mentions(refusal(legacy({{"a", -1, {1}}})), "number of calls"));
    CHECK(mentions(refusal(legacy({{"a", 1, {}}})), "number of values"));
    for (const int32_t n : {-1, 0x7fffffff, 300'000}) {
        CHECK(refusal(GgufBytes().put(n)).status == PONDER_STATUS_FORMAT);
        CHECK(refusal(GgufBytes().put<int32_t>(1).put(n).raw("name")).status == PONDER_STATUS_FORMAT);
        CHECK(refusal(GgufBytes().put<int32_t>(1).put<int32_t>(1).raw("a").put<int32_t>(1).put(n).put(1.0f)).status ==
              PONDER_STATUS_FORMAT);
    }
}

TEST_CASE("importance: lies in the GGUF form") {
    CHECK(mentions(refusal(gguf_form({1, 2}, {1}, "model")), "general.type"));
    CHECK(mentions(refusal(gguf_form({1, -2}, {1})), "sum 1"));
    CHECK(mentions(refusal(gguf_form({1, 2}, {-1})), "count 0"));
    const auto with_tensors = [](auto&& add) {
        GgufBytes bytes;
        bytes.header(2, 1).key_string("general.type", "imatrix");
        add(bytes);
        return bytes.pad().zeros(512);
    };
    CHECK(mentions(refusal(with_tensors([](auto& b) { b.tensor("x.in_sum2", {4}, 0, 0).tensor("y.counts", {1}, 0, 32); })), "no counts"));
    CHECK(mentions(refusal(with_tensors([](auto& b) { b.tensor("x.in_sum2", {4}, 1, 0).tensor("x.counts", {1}, 0, 32); })), "not F32"));
    CHECK(mentions(refusal(with_tensors([](auto& b) { b.tensor("x.in_sum2", {4, 2}, 0, 0).tensor("x.counts", {1}, 0, 32); })), "[1, 2]"));
    CHECK(mentions(refusal(with_tensors([](auto& b) { b.tensor("a", {4}, 0, 0).tensor("b", {1}, 0, 32); })), "without entries"));
    const auto good = gguf_form({2, 4, 6, 8}, {2, 4});
    const std::span<const std::byte> whole = good;
    for (size_t n = 0; n + 32 < whole.size(); ++n) CHECK_FALSE(ImportanceMatrix::read_bytes(whole.first(n), "m"));
}

TEST_CASE("importance: 20,000 damaged files end in an error or in a matrix that can be used") {
    const GgufBytes forms[] = {legacy({{"x.weight", 2, {2, 4, 6}}, {"y.weight", 1, {1, 2}}}), gguf_form({2, 4, 6, 8}, {2, 4})};
    std::mt19937 random(4);
    int n_read = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::vector<std::byte> bytes = forms[i % 2].bytes();
        const auto n_damages = 1 + random() % 3;
        for (unsigned k = 0; k < n_damages; ++k) bytes[random() % bytes.size()] = static_cast<std::byte>(random() % 3 ? random() : 255);
        if (random() % 8 == 0) bytes.resize(random() % bytes.size());
        const auto matrix = ImportanceMatrix::read_bytes(bytes, "m");
        if (!matrix) continue;
        ++n_read;
        for (const char* name : {"x.weight", "y.weight"}) {
            if (!matrix->has(name)) continue;
            const auto values = matrix->values(name);
            for (const int64_t n_cols : {1, 2, 3, 4}) {
                const auto n_matrices = static_cast<int64_t>(values.size()) / n_cols;
                if (n_matrices > 0 && matrix->check(name, n_cols, n_matrices))
                    CHECK(n_cols * n_matrices == static_cast<int64_t>(values.size()));
            }
        }
    }
    CHECK(n_read > 1000);  // the damage is not so great that nothing is tested
    CHECK(n_read < 19'000);
}

TEST_CASE("importance: columns that matter are stored more exactly, each expert by its own") {
    constexpr int64_t kCols = 256, kRows = 32, kExperts = 2;
    const auto values = ponder_test::random_values(kCols * kRows * kExperts, 21);
    HandBuilt built;
    built.key("general.architecture", "deepseek2");
    built.key("deepseek2.block_count", 1);
    built.add("x.weight", {kCols, kRows, kExperts}, "F32", values);
    built.add("y.weight", {kCols, kRows}, "F32", std::vector<float>(values.begin(), values.begin() + kCols * kRows));
    // Expert 0 cares about the even columns, expert 1 about the odd ones.
    std::vector<float> sums;
    for (int64_t i = 0; i < kCols * kExperts; ++i) sums.push_back(i % 2 == i / kCols ? 400.0f : 4.0f);
    const TemporaryFolder folder;
    const std::string path = folder.write("imatrix.gguf", gguf_form(sums, {4, 4}));
    const auto weighted_error = [&](const ModelFile& file) {
        const auto found = ponder_test::values_of(*file.find("x.weight"));
        double error = 0;
        for (size_t i = 0; i < values.size(); ++i) {
            const size_t expert = i / (kCols * kRows), column = i % kCols;
            error += static_cast<double>(sums[expert * kCols + column]) * std::pow(static_cast<double>(values[i] - found[i]), 2);
        }
        return error;
    };
    for (const char* type : {"Q4_K_M", "Q2_K", "Q3_K_M", "IQ4_XS", "IQ4_NL", "Q4_0"}) {
        CAPTURE(type);
        const double plain = weighted_error(built.convert(folder.path("plain.gguf"), {.type = type}));
        const double weighted = weighted_error(built.convert(folder.path("weighted.gguf"), {.type = type, .importance_path = path}));
        CHECK(weighted < 0.9 * plain);
    }
    const auto made = convert_model(built.model, folder.path("out.gguf"), {.type = "Q4_K_M", .importance_path = path});
    REQUIRE(made);
    CHECK(made->n_without_importance == 1);  // y.weight
    // Not for another model: refused before anything is written.
    const std::string small = folder.write("small.gguf", gguf_form({1, 2, 3, 4}, {1, 1}));
    CHECK(mentions(built.refusal({.type = "Q4_K_M", .importance_path = small}), "'x.weight' has 4 values"));
    const std::string other = folder.write("other.dat", legacy({{"other.weight", 1, {1, 2}}}));
    CHECK(mentions(built.refusal({.type = "Q4_K_M", .importance_path = other}), "no entry for any tensor"));
    CHECK(built.refusal({.type = "Q4_K_M", .importance_path = folder.path("none")}).status == PONDER_STATUS_IO);
}
