// SPDX-License-Identifier: Apache-2.0
// Tokenizers against recorded ids of other implementations, read from third-party test data.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "format/gguf_reader.hpp"
#include "test_data.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_keys.hpp"

namespace {

using ponder::EncodeOptions;
using ponder::TokenId;
using ponder::Tokenizer;
using ponder_test::data_path;
using ponder_test::has_data;

std::string read_pipe(const std::string& command) {
    std::string out;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return out;
    char buffer[65536];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    if (pclose(pipe) != 0) out.clear();
    return out;
}

// Empty if the file, or xz, is missing.
std::string unpacked(const std::string& relative) {
    if (!has_data(relative)) return {};
    std::string out = read_pipe("xz -dc '" + data_path(relative) + "' 2>/dev/null");
    if (out.empty()) MESSAGE("skipped: xz cannot unpack " << relative);
    return out;
}

std::unique_ptr<Tokenizer> from_json(const std::string& json) {
    auto tokenizer = Tokenizer::from_json(json);
    REQUIRE_MESSAGE(tokenizer, tokenizer.error().message);
    return std::move(*tokenizer);
}

std::unique_ptr<Tokenizer> open_json(const std::string& name) {
    const std::string json = unpacked("tokenizers/" + name + "/tokenizer.json.xz");
    return json.empty() ? nullptr : from_json(json);
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, const std::string& text, bool parse_special) {
    auto ids = tokenizer.encode(text, {.parse_special = parse_special});
    REQUIRE_MESSAGE(ids, ids.error().message);
    return std::move(*ids);
}

struct Counts {
    int n = 0, encode = 0, plain = 0, decode = 0;
};

Counts count_differences(const Tokenizer& tokenizer, const std::string& file) {
    Counts counts;
    std::ifstream lines(data_path(file));
    for (std::string line; std::getline(lines, line);) {
        const auto record = nlohmann::json::parse(line);
        const auto text = record.at("text").get<std::string>();
        const auto ids = record.at("ids").get<std::vector<TokenId>>();
        const auto plain = record.value("ids_plain", ids);
        const auto decoded = tokenizer.decode(ids);
        ++counts.n;
        counts.encode += encode(tokenizer, text, true) != ids;
        counts.plain += encode(tokenizer, text, false) != plain;
        counts.decode += !decoded || *decoded != record.value("decoded", text);
    }
    return counts;
}

void check_no_differences(const Tokenizer& tokenizer, const std::string& file) {
    const Counts counts = count_differences(tokenizer, file);
    CHECK(counts.n > 0);
    CHECK(counts.encode == 0);
    CHECK(counts.plain == 0);
    CHECK(counts.decode == 0);
}

constexpr int64_t kPaddedVocabulary = 160'000;  // larger than any of them

// Read from tokenizer.json, and from the GGUF keys that are made of it.
void check_vectors(const std::string& name, const char* pre) {
    const std::string file = "tokenizer-vectors/" + name + ".jsonl";
    if (!has_data(file)) return;
    const std::string json = unpacked("tokenizers/" + name + "/tokenizer.json.xz");
    if (json.empty()) return;
    check_no_differences(*from_json(json), file);
    ponder::Metadata metadata;
    const auto set = ponder::set_tokenizer_keys(json, "", kPaddedVocabulary, metadata);
    REQUIRE_MESSAGE(set, set.error().message);
    CHECK(**metadata.get_string("tokenizer.ggml.pre") == pre);
    CHECK((*metadata.get_strings("tokenizer.ggml.tokens"))->size() == kPaddedVocabulary);
    auto tokenizer = Tokenizer::from_metadata(metadata);
    REQUIRE_MESSAGE(tokenizer, tokenizer.error().message);
    check_no_differences(**tokenizer, file);
}

// The texts are divided by a line "__ggml_vocab_test__"; the ids have a line each.
void check_ggml_vectors(const Tokenizer& tokenizer, const std::string& name) {
    const std::string stem = "tokenizers/ggml-vocab/ggml-vocab-" + name + ".gguf";
    if (!has_data(stem + ".inp") || !has_data(stem + ".out")) return;
    std::ifstream input(data_path(stem + ".inp"), std::ios::binary), output(data_path(stem + ".out"));
    const std::string texts((std::istreambuf_iterator<char>(input)), std::istreambuf_iterator<char>());
    const std::string divider = "\n__ggml_vocab_test__\n";
    int n = 0;
    for (size_t at = 0; at < texts.size(); ++n) {
        const size_t end = std::min(texts.find(divider, at), texts.size());
        const std::string text = texts.substr(at, end - at);
        at = end + divider.size();
        std::string line;
        if (!std::getline(output, line)) break;
        std::vector<TokenId> ids;
        for (const char* p = line.c_str(); *p != '\0';) {
            char* next = nullptr;
            ids.push_back(static_cast<TokenId>(std::strtol(p, &next, 10)));
            if (next == p) break;
            p = next;
        }
        CHECK_MESSAGE(encode(tokenizer, text, true) == ids, name << ": text " << n);
    }
    CHECK(n >= 46);
}

std::unique_ptr<Tokenizer> from_model(const ponder::Result<ponder::ModelFile>& file) {
    REQUIRE_MESSAGE(file, file.error().message);
    auto tokenizer = Tokenizer::from_metadata(file->metadata);
    REQUIRE_MESSAGE(tokenizer, tokenizer.error().message);
    return std::move(*tokenizer);
}

std::unique_ptr<Tokenizer> open_ggml_vocab(const std::string& name) {
    const std::string relative = "tokenizers/ggml-vocab/ggml-vocab-" + name + ".gguf";
    return has_data(relative) ? from_model(ponder::read_gguf(data_path(relative))) : nullptr;
}

}  // namespace

TEST_CASE("tokenizer_vectors: deepseek-v3") { check_vectors("deepseek-v3", "deepseek-v3"); }
TEST_CASE("tokenizer_vectors: deepseek-r1") { check_vectors("deepseek-r1", "deepseek-v3"); }
TEST_CASE("tokenizer_vectors: llama3") { check_vectors("llama3", "llama-bpe"); }
TEST_CASE("tokenizer_vectors: qwen2.5") { check_vectors("qwen2.5", "qwen2"); }
TEST_CASE("tokenizer_vectors: qwen3") { check_vectors("qwen3", "qwen2"); }
TEST_CASE("tokenizer_vectors: r1-distill-llama") { check_vectors("r1-distill-llama", "llama-bpe"); }
TEST_CASE("tokenizer_vectors: r1-distill-qwen") { check_vectors("r1-distill-qwen", "qwen2"); }

TEST_CASE("tokenizer_vectors: ggml gpt-2") {
    if (const auto tokenizer = open_ggml_vocab("gpt-2")) check_ggml_vectors(*tokenizer, "gpt-2");
}

TEST_CASE("tokenizer_vectors: ggml llama-spm") {
    if (const auto tokenizer = open_ggml_vocab("llama-spm")) check_ggml_vectors(*tokenizer, "llama-spm");
}

TEST_CASE("tokenizer_vectors: ggml deepseek-coder") {
    if (const auto tokenizer = open_ggml_vocab("deepseek-coder")) check_ggml_vectors(*tokenizer, "deepseek-coder");
}

TEST_CASE("tokenizer_vectors: ggml deepseek-llm") {
    const std::string bytes = unpacked("tokenizers/ggml-vocab/ggml-vocab-deepseek-llm.gguf.xz");
    if (bytes.empty()) return;
    const auto tokenizer = from_model(ponder::read_gguf_bytes(std::as_bytes(std::span(bytes)), "deepseek-llm"));
    check_ggml_vectors(*tokenizer, "deepseek-llm");
}

TEST_CASE("tokenizer_vectors: ggml llama-bpe") {
    if (const auto tokenizer = open_json("llama3")) check_ggml_vectors(*tokenizer, "llama-bpe");
}

TEST_CASE("tokenizer_vectors: ggml qwen2") {
    if (const auto tokenizer = open_json("qwen2.5")) check_ggml_vectors(*tokenizer, "qwen2");
}

TEST_CASE("tokenizer_vectors: stories260K prompts") {
    const std::string model = "models/stories260K.f32.gguf", expected = "models/stories260K.expected.json";
    if (!has_data(model) || !has_data(expected)) return;
    const auto tokenizer = from_model(ponder::read_gguf(data_path(model)));
    CHECK(tokenizer->bos() == 1);
    CHECK(tokenizer->adds_bos());
    CHECK(encode(*tokenizer, "Once upon a time", false) == std::vector<TokenId>{403, 407, 261, 378});
}
