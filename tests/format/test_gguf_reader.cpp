// SPDX-License-Identifier: Apache-2.0
// The GGUF reader on well-formed files: what it delivers, both alignments and versions, real vocabularies, golden models.
#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "format/gguf_bytes.hpp"
#include "format/gguf_reader.hpp"
#include "test_data.hpp"

using ponder::read_gguf;
using ponder::read_gguf_bytes;
using ponder_test::GgufBytes;
using ponder_test::small_model;
using ponder_test::TemporaryFolder;

namespace {

void check_small_model(const ponder::ModelFile& model) {
    CHECK(model.metadata.entries().size() == 17);
    CHECK(**model.metadata.get_string("general.architecture") == "llama");
    CHECK(**model.metadata.get_u32("t.u8") == 200);
    CHECK(**model.metadata.get_i32("t.i8") == -5);
    CHECK(**model.metadata.get_i64("t.i16") == -300);
    CHECK(model.metadata.find("t.u64")->bits() == 1ull << 63);
    CHECK(**model.metadata.get_i64("t.i64") == -(1ll << 40));
    CHECK(**model.metadata.get_f32("t.f32") == 1.5f);
    CHECK(model.metadata.find("t.f64")->as_double() == -2.25);
    CHECK(**model.metadata.get_bool("t.bool"));
    const auto tokens = **model.metadata.get_strings("tokenizer.ggml.tokens");
    REQUIRE(tokens.size() == 4);
    CHECK(tokens[1].empty());
    CHECK(tokens[2] == "\xff\xfe");
    CHECK((**model.metadata.get_numbers("tokenizer.ggml.scores")).double_at(1) == -1.0);
    CHECK((**model.metadata.get_integers("t.i32s")).int64_at(0) == -1);
    CHECK((**model.metadata.get_integers("t.bools")).int64_at(1) == 1);

    REQUIRE(model.tensors.size() == 2);
    const ponder::StoredTensor* output = model.find("output.weight");
    REQUIRE(output != nullptr);
    CHECK(output->type == 8);
    CHECK(output->n_dims == 1);
    CHECK(output->dims == std::array<int64_t, 4>{32, 1, 1, 1});
    REQUIRE(output->data.size() == 34);
    CHECK(output->data[33] == std::byte{33});
    CHECK(model.find("blk.0.attn_q.weight")->data.size() == 32);
    CHECK(model.find("absent") == nullptr);
    CHECK(model.data_bytes == 66);
}

}  // namespace

TEST_CASE("gguf_reader: reads every value type, both versions, alignments from 8 to 1 MiB") {
    for (const uint32_t version : {2u, 3u}) {
        for (const uint32_t alignment : {32u, 64u, 4096u, 1u << 20}) {
            const GgufBytes file = small_model(version, alignment);
            const auto model = read_gguf_bytes(file, "memory");
            REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
            check_small_model(*model);
            CHECK(model->tensors[1].file_offset % alignment == 0);
        }
    }
    GgufBytes file;
    file.header(2, 1).key_u32("general.alignment", 8).tensor("a", {2}, 0, 0).tensor("b", {2}, 0, 8).pad(8).zeros(16);
    const auto model = read_gguf_bytes(file, "memory");
    REQUIRE(model);
    CHECK(model->tensors[1].data.data() - model->tensors[0].data.data() == 8);
}

TEST_CASE("gguf_reader: reads from a file and keeps its views when moved") {
    const TemporaryFolder folder;
    const std::string path = folder.write("small.gguf", small_model());
    auto model = read_gguf(path);
    REQUIRE(model);
    const ponder::ModelFile moved = std::move(*model);
    check_small_model(moved);
    REQUIRE(moved.files.size() == 1);
    CHECK(moved.files[0].bytes().data() + moved.tensors[0].file_offset == moved.tensors[0].data.data());
}

TEST_CASE("gguf_reader: a file without tensors may end at its header") {
    GgufBytes file;
    file.header(0, 1).key_string("general.architecture", "llama");
    const auto model = read_gguf_bytes(file, "memory");
    REQUIRE(model);
    CHECK(model->tensors.empty());
    CHECK(read_gguf_bytes(GgufBytes().header(0, 0), "memory"));
}

TEST_CASE("gguf_reader: tensors may lie out of order, with gaps, before trailing bytes") {
    GgufBytes file;
    file.header(2, 0).tensor("a", {8}, 0, 64).tensor("b", {8}, 0, 0).pad().zeros(96 + 5);
    CHECK(read_gguf_bytes(file, "memory"));
}

TEST_CASE("gguf_reader: opening touches no tensor data") {
    // 64 GiB of holes: reading them would take minutes, mapping them takes nothing.
    const TemporaryFolder folder;
    constexpr int64_t kRows = 1 << 24;
    GgufBytes file;
    file.header(1, 0).tensor("large", {1024, kRows}, 0, 0).pad();
    const std::string path = folder.write("large.gguf", file);
    const auto full_size = static_cast<off_t>(file.bytes().size()) + kRows * 4096;
    if (::truncate(path.c_str(), full_size) != 0) {
        MESSAGE("skipped: the file system refuses a sparse file of 64 GiB");
        return;
    }
    const auto start = std::chrono::steady_clock::now();
    const auto model = read_gguf(path);
    REQUIRE(model);
    CHECK(model->data_bytes == uint64_t{kRows} * 4096);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
    CHECK(!read_gguf(folder.path("missing.gguf")));
}

TEST_CASE("gguf_reader: opens the golden models") {
    if (!ponder_test::has_data("golden/models")) return;
    size_t n_models = 0;
    for (const auto& entry : std::filesystem::directory_iterator(ponder_test::data_path("golden/models"))) {
        if (entry.path().extension() != ".gguf") continue;
        const auto model = read_gguf(entry.path().string());
        REQUIRE_MESSAGE(model, entry.path().string() << ": " << (model ? "" : model.error().message));
        CHECK(model->tensors.size() > 5);
        CHECK(model->find("token_embd.weight") != nullptr);
        ++n_models;
    }
    CHECK(n_models >= 20);
}

TEST_CASE("gguf_reader: opens real vocabularies") {
    struct Vocabulary {
        const char* file;
        size_t n_tokens;
        const char* model;
    };
    for (const Vocabulary& v : {Vocabulary{"ggml-vocab-gpt-2.gguf", 50257, "gpt2"}, Vocabulary{"ggml-vocab-llama-spm.gguf", 32000, "llama"},
                                Vocabulary{"ggml-vocab-deepseek-coder.gguf", 32256, "gpt2"}}) {
        const std::string path = std::string("tokenizers/ggml-vocab/") + v.file;
        if (!ponder_test::has_data(path)) continue;
        const auto model = read_gguf(ponder_test::data_path(path));
        REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
        CHECK((**model->metadata.get_strings("tokenizer.ggml.tokens")).size() == v.n_tokens);
        CHECK(**model->metadata.get_string("tokenizer.ggml.model") == v.model);
        CHECK(model->tensors.empty());
    }
}

TEST_CASE("gguf_reader: opens a trained model") {
    if (!ponder_test::has_data("models/stories260K.f32.gguf")) return;
    const auto model = read_gguf(ponder_test::data_path("models/stories260K.f32.gguf"));
    REQUIRE(model);
    const auto* embedding = model->find("token_embd.weight");
    REQUIRE(embedding != nullptr);
    CHECK(embedding->dims == std::array<int64_t, 4>{64, 512, 1, 1});
}
