// SPDX-License-Identifier: Apache-2.0
// Tokenizers from GGUF metadata: contradictions between keys, and what follows from scores.
#include <doctest/doctest.h>

#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.hpp"

using ponder::Metadata;
using ponder::TokenId;
using ponder::Tokenizer;
using ponder::TokenKind;
using ponder::Value;
using Ids = std::vector<TokenId>;

namespace {

Value numbers(const std::vector<int32_t>& values) { return Value::from_array(std::span<const int32_t>(values)); }
Value numbers(const std::vector<float>& values) { return Value::from_array(std::span<const float>(values)); }

// Ids 0-2: <unk>, <s>, </s>; 3: the byte '!'; then pieces.
Metadata spm_metadata() {
    Metadata metadata;
    metadata.set("tokenizer.ggml.model", Value::from_string("llama"));
    metadata.set("tokenizer.ggml.tokens",
                 Value::from_strings({"<unk>", "<s>", "</s>", "<0x21>", "\u2581", "a", "b", "\u2581a", "ab", "c"}));
    metadata.set("tokenizer.ggml.token_type", numbers(std::vector<int32_t>{2, 3, 3, 6, 1, 1, 1, 1, 1, 4}));
    metadata.set("tokenizer.ggml.scores", numbers(std::vector<float>{0, 0, 0, 0, -5, -6, -7, -2, -1, 0}));
    return metadata;
}

Metadata bpe_metadata() {
    Metadata metadata;
    metadata.set("tokenizer.ggml.model", Value::from_string("gpt2"));
    metadata.set("tokenizer.ggml.pre", Value::from_string("qwen2"));
    metadata.set("tokenizer.ggml.tokens",
                 Value::from_strings({"a", "b", "ab", "\u0120", "</s>", "<|im_end|>", "<think>", "", "\u00c3", "\u00a9"}));
    metadata.set("tokenizer.ggml.token_type", numbers(std::vector<int32_t>{1, 1, 1, 1, 1, 3, 4, 5, 1, 1}));
    metadata.set("tokenizer.ggml.merges", Value::from_strings({"a b"}));
    metadata.set("tokenizer.ggml.eos_token_id", Value::from_u32(5));
    return metadata;
}

ponder_status status_of(const Metadata& metadata) {
    const auto tokenizer = Tokenizer::from_metadata(metadata);
    if (tokenizer) return PONDER_STATUS_OK;
    CHECK_FALSE(tokenizer.error().message.empty());
    return tokenizer.error().status;
}

template <class Make>
ponder_status status_with(Make make, std::string_view key, const Value& value) {
    Metadata metadata = make();
    metadata.set(key, value);
    return status_of(metadata);
}

template <class Make>
ponder_status status_without(Make make, std::string_view key) {
    Metadata metadata = make();
    metadata.erase(key);
    return status_of(metadata);
}

Ids encode(const Tokenizer& tokenizer, std::string_view text, bool parse_special = false) {
    auto ids = tokenizer.encode(text, {.parse_special = parse_special});
    REQUIRE_MESSAGE(ids, ids.error().message);
    return std::move(*ids);
}

}  // namespace

TEST_CASE("tokenizer_metadata: byte-level vocabulary") {
    const auto tokenizer = Tokenizer::from_metadata(bpe_metadata());
    REQUIRE(tokenizer);
    CHECK(encode(**tokenizer, "ab a") == Ids{2, 3, 0});
    CHECK(encode(**tokenizer, "e\u0301").size() == 2);  // qwen2 normalizes, as its published tokenizer does
    CHECK(encode(**tokenizer, "<think>ab", true) == Ids{6, 2});
    CHECK((*tokenizer)->is_end_of_generation(5));
    CHECK_FALSE((*tokenizer)->is_end_of_generation(4));
    CHECK((*tokenizer)->kind(7) == TokenKind::kUnused);
    CHECK((*tokenizer)->bos() == ponder::kNoToken);
    CHECK_FALSE((*tokenizer)->adds_bos());
    CHECK_FALSE((*tokenizer)->encode("<"));
}

TEST_CASE("tokenizer_metadata: scores decide merges") {
    const auto tokenizer = Tokenizer::from_metadata(spm_metadata());
    REQUIRE(tokenizer);
    CHECK(encode(**tokenizer, "ab") == Ids{4, 8});  // "ab" scores above "\u2581a"
    CHECK(encode(**tokenizer, "a!b") == Ids{7, 3, 6});
    CHECK(encode(**tokenizer, "axxb") == Ids{7, 0, 6});
    CHECK(encode(**tokenizer, "<s>a", true) == Ids{1, 7});
    CHECK((*tokenizer)->bos() == 1);
    CHECK((*tokenizer)->adds_bos());
    CHECK((*tokenizer)->is_end_of_generation(2));
    const auto text = (*tokenizer)->decode(Ids{7, 8, 3});
    REQUIRE(text);
    CHECK(*text == "aab!");
}

TEST_CASE("tokenizer_metadata: no space is put in front where the file says so") {
    Metadata metadata = spm_metadata();
    metadata.set("tokenizer.ggml.add_space_prefix", Value::from_bool(false));
    const auto tokenizer = Tokenizer::from_metadata(metadata);
    REQUIRE(tokenizer);
    CHECK(encode(**tokenizer, "ab") == Ids{8});
}

TEST_CASE("tokenizer_metadata: missing keys") {
    CHECK(status_of(Metadata()) == PONDER_STATUS_NOT_FOUND);
    CHECK(status_without(bpe_metadata, "tokenizer.ggml.pre") == PONDER_STATUS_UNSUPPORTED);
    CHECK(status_without(bpe_metadata, "tokenizer.ggml.tokens") == PONDER_STATUS_FORMAT);
    CHECK(status_without(bpe_metadata, "tokenizer.ggml.merges") == PONDER_STATUS_FORMAT);
    CHECK(status_without(bpe_metadata, "tokenizer.ggml.token_type") == PONDER_STATUS_OK);
    CHECK(status_without(spm_metadata, "tokenizer.ggml.scores") == PONDER_STATUS_FORMAT);
}

TEST_CASE("tokenizer_metadata: unknown kinds are refused by name") {
    CHECK(status_with(bpe_metadata, "tokenizer.ggml.model", Value::from_string("bert")) == PONDER_STATUS_UNSUPPORTED);
    Metadata metadata = bpe_metadata();
    metadata.set("tokenizer.ggml.pre", Value::from_string("default"));
    const auto tokenizer = Tokenizer::from_metadata(metadata);
    REQUIRE_FALSE(tokenizer);
    CHECK(tokenizer.error().status == PONDER_STATUS_UNSUPPORTED);
    CHECK(tokenizer.error().message.find("'default'") != std::string::npos);
}

TEST_CASE("tokenizer_metadata: arrays that do not fit each other") {
    CHECK(status_with(bpe_metadata, "tokenizer.ggml.token_type", numbers(std::vector<int32_t>{1, 1})) == PONDER_STATUS_FORMAT);
    CHECK(status_with(bpe_metadata, "tokenizer.ggml.token_type", numbers(std::vector<int32_t>(10, 0))) == PONDER_STATUS_FORMAT);
    CHECK(status_with(bpe_metadata, "tokenizer.ggml.token_type", numbers(std::vector<int32_t>(10, 7))) == PONDER_STATUS_FORMAT);
    CHECK(status_with(bpe_metadata, "tokenizer.ggml.token_type", Value::from_string("x")) == PONDER_STATUS_FORMAT);
    CHECK(status_with(bpe_metadata, "tokenizer.ggml.tokens", Value::from_strings({})) == PONDER_STATUS_FORMAT);
    CHECK(status_with(spm_metadata, "tokenizer.ggml.scores", numbers(std::vector<float>{1})) == PONDER_STATUS_FORMAT);
    CHECK(status_with(spm_metadata, "tokenizer.ggml.scores", numbers(std::vector<float>(10, std::numeric_limits<float>::quiet_NaN()))) ==
          PONDER_STATUS_FORMAT);
}

TEST_CASE("tokenizer_metadata: merges and ids that name nothing") {
    for (const char* merge : {"ab", "a  b", " b", "a ", "", "a x", "b a"}) {
        CHECK(status_with(bpe_metadata, "tokenizer.ggml.merges", Value::from_strings({merge})) == PONDER_STATUS_FORMAT);
    }
    for (const uint32_t id : {10u, 0x7fffffffu, 0xffffffffu}) {
        for (const char* key : {"bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id", "eot_token_id"}) {
            CHECK(status_with(bpe_metadata, std::string("tokenizer.ggml.") + key, Value::from_u32(id)) == PONDER_STATUS_FORMAT);
        }
    }
}

TEST_CASE("tokenizer_metadata: byte tokens that read otherwise") {
    for (const char* text : {"<0x-1>", "<0x>", "<0x1>", "<0x100>", "<0xGG>", "0x21", "", "<0x 1>", "<0x+1>"}) {
        CHECK(status_with(spm_metadata, "tokenizer.ggml.tokens",
                          Value::from_strings({"<unk>", "<s>", "</s>", text, "\u2581", "a", "b", "\u2581a", "ab", "c"})) ==
              PONDER_STATUS_FORMAT);
    }
}

TEST_CASE("tokenizer_metadata: tokens past the limits") {
    const std::string long_text(65'537, 'x'), long_special(257, 'x'), long_piece(513, 'x');
    const auto with_token = [](std::string_view text, int32_t type) {
        Metadata metadata = spm_metadata();
        metadata.set("tokenizer.ggml.tokens",
                     Value::from_strings({"<unk>", "<s>", "</s>", "<0x21>", "\u2581", "a", "b", "\u2581a", "ab", text}));
        metadata.set("tokenizer.ggml.token_type", numbers(std::vector<int32_t>{2, 3, 3, 6, 1, 1, 1, 1, 1, type}));
        return status_of(metadata);
    };
    CHECK(with_token(long_text, 1) == PONDER_STATUS_LIMIT);
    CHECK(with_token(long_special, 4) == PONDER_STATUS_LIMIT);
    CHECK(with_token(long_piece, 1) == PONDER_STATUS_LIMIT);
    CHECK(with_token("", 1) == PONDER_STATUS_OK);
    CHECK(with_token("", 3) == PONDER_STATUS_OK);
}
