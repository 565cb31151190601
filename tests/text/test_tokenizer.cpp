// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding with small vocabularies: special tokens, literal ranges, odd bytes, long runs.
#include "text/tokenizer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tokenizer_fixture.hpp"

using ponder::kNoToken;
using ponder::TextSpan;
using ponder::TokenId;
using ponder::TokenKind;
using ponder_test::encode;
using ponder_test::open_tokenizer;
using ponder_test::tiny_tokenizer_json;
using Ids = std::vector<TokenId>;

TEST_CASE("tokenizer: merges by rank, and decodes what it encoded") {
    const auto tokenizer = open_tokenizer(tiny_tokenizer_json());
    CHECK(encode(*tokenizer, "").empty());
    CHECK(encode(*tokenizer, "abc") == Ids{257});
    CHECK(encode(*tokenizer, "aabcb") == Ids{'a', 257, 'b'});
    CHECK(encode(*tokenizer, "x abc") == Ids{'x', ' ', 257});  // "a b" has the lower rank
    CHECK(encode(*tokenizer, "x a") == Ids{'x', 258});
    const Ids ids = encode(*tokenizer, "x a\u4e2d\n");
    const auto text = tokenizer->decode(ids);
    REQUIRE(text);
    CHECK(*text == "x a\u4e2d\n");
}

TEST_CASE("tokenizer: special tokens are text unless asked for") {
    const auto tokenizer = open_tokenizer(tiny_tokenizer_json());
    CHECK(encode(*tokenizer, "<s>") == Ids{'<', 's', '>'});
    CHECK(encode(*tokenizer, "<s>", {.parse_special = true}) == Ids{300});
    CHECK(encode(*tokenizer, "abc<s>abc<s><s>", {.parse_special = true}) == Ids{257, 300, 257, 300, 300});
    CHECK(encode(*tokenizer, "<think>>", {.parse_special = true}) == Ids{302});  // the longest
    CHECK(encode(*tokenizer, "<think> <s", {.parse_special = true}) == Ids{301, ' ', '<', 's'});
    CHECK(encode(*tokenizer, "</s>", {.parse_special = true}) == Ids{'<', '/', 's', '>'});  // an ordinary entry, and no merges for it
}

TEST_CASE("tokenizer: no special token touches a literal range") {
    const auto tokenizer = open_tokenizer(tiny_tokenizer_json());
    const auto with_literal = [&](const std::string& text, const std::vector<TextSpan>& literal) {
        return encode(*tokenizer, text, {.parse_special = true, .literal = literal});
    };
    CHECK(with_literal("<s><s><s>", {{3, 6}}) == Ids{300, '<', 's', '>', 300});
    CHECK(with_literal("<s>", {{2, 3}}) == Ids{'<', 's', '>'});
    CHECK(with_literal("<s>", {{0, 1}}) == Ids{'<', 's', '>'});
    CHECK(with_literal("<s>", {{1, 1}}) == Ids{300});            // an empty range holds no byte
    CHECK(with_literal("<think>>", {{7, 8}}) == Ids{301, '>'});  // the template's token, then a user's ">"
    CHECK(with_literal("a<s>bc", {{0, 1}, {4, 6}}) == Ids{'a', 300, 'b', 'c'});
    CHECK(with_literal("abc", {{1, 2}}) == Ids{257});  // words are not cut
}

TEST_CASE("tokenizer: rejects literal ranges out of order or outside the text") {
    const auto tokenizer = open_tokenizer(tiny_tokenizer_json());
    const std::vector<std::vector<TextSpan>> bad = {{{0, 4}}, {{2, 1}}, {{1, 2}, {0, 1}}, {{0, 2}, {1, 3}}, {{5, 5}}};
    for (const auto& literal : bad) {
        const auto ids = tokenizer->encode("abc", {.parse_special = true, .literal = literal});
        REQUIRE_FALSE(ids);
        CHECK(ids.error().status == PONDER_STATUS_INVALID_ARGUMENT);
    }
}

TEST_CASE("tokenizer: flags of added tokens") {
    auto json = tiny_tokenizer_json();
    json["added_tokens"].push_back({{"id", 304}, {"content", "LEFT"}, {"lstrip", true}});
    json["added_tokens"].push_back({{"id", 305}, {"content", "RIGHT"}, {"rstrip", true}});
    json["added_tokens"].push_back({{"id", 306}, {"content", "word"}, {"single_word", true}});
    const auto tokenizer = open_tokenizer(json);
    CHECK(encode(*tokenizer, "x \u3000LEFT y", {.parse_special = true}) == Ids{'x', 304, ' ', 'y'});
    CHECK(encode(*tokenizer, "x RIGHT \ny", {.parse_special = true}) == Ids{'x', ' ', 305, 'y'});
    CHECK(encode(*tokenizer, "word!", {.parse_special = true}) == Ids{306, '!'});
    CHECK(encode(*tokenizer, "swords", {.parse_special = true}) == Ids{'s', 'w', 'o', 'r', 'd', 's'});
    CHECK(encode(*tokenizer, "\u2167word", {.parse_special = true}) == Ids{0xe2, 0x85, 0xa7, 'w', 'o', 'r', 'd'});
    CHECK(encode(*tokenizer, "word\u200d", {.parse_special = true}) == Ids{'w', 'o', 'r', 'd', 0xe2, 0x80, 0x8d});
    // The longest token decides, also where it is then passed over for standing in a word.
    json["added_tokens"].push_back({{"id", 307}, {"content", "wor"}});
    CHECK(encode(*open_tokenizer(json), "words wor", {.parse_special = true}) == Ids{'w', 'o', 'r', 'd', 's', ' ', 307});
    const std::vector<TextSpan> literal = {{1, 2}};
    CHECK(encode(*tokenizer, "x  LEFT", {.parse_special = true, .literal = literal}) == Ids{'x', ' ', 304});
}

TEST_CASE("tokenizer: added tokens with \"normalized\" are found after normalization") {
    auto json = tiny_tokenizer_json();
    json["normalizer"] = {{"type", "NFC"}};
    json["added_tokens"].push_back({{"id", 304}, {"content", "<\u00e9>"}, {"normalized", true}});
    json["added_tokens"].push_back({{"id", 305}, {"content", "[e\u0301]"}, {"normalized", true}});  // its content is normalized, too
    const auto tokenizer = open_tokenizer(json);
    CHECK(encode(*tokenizer, "[e\u0301]", {.parse_special = true}) == Ids{305});
    CHECK(encode(*tokenizer, "[\u00e9]", {.parse_special = true}) == Ids{305});
    CHECK(encode(*tokenizer, "<e\u0301>", {.parse_special = true}) == Ids{304});
    CHECK(encode(*tokenizer, "<\u00e9>", {.parse_special = true}) == Ids{304});
    CHECK(encode(*tokenizer, "e\u0301") == Ids{0xc3, 0xa9});
    const std::vector<TextSpan> literal = {{2, 3}};
    CHECK(encode(*tokenizer, "<\u00e9>", {.parse_special = true, .literal = literal}) == Ids{'<', 0xc3, 0xa9, '>'});
}

TEST_CASE("tokenizer: bytes that are not UTF-8 become byte tokens") {
    const auto tokenizer = open_tokenizer(tiny_tokenizer_json());
    CHECK(encode(*tokenizer,
                 "ab\xff\xfe"
                 "c\xe4\xb8") == Ids{256, 0xff, 0xfe, 'c', 0xe4, 0xb8});
    const auto text = tokenizer->decode(Ids{256, 0xff, 'c'});
    REQUIRE(text);
    CHECK(*text == "ab\uFFFDc");
    CHECK(tokenizer->decode(0xff) == "\xff");
}

TEST_CASE("tokenizer: a byte without a token is an error, or the unknown token") {
    auto json = tiny_tokenizer_json();
    json["model"]["vocab"].erase("z");
    const auto strict = open_tokenizer(json)->encode("abz");
    REQUIRE_FALSE(strict);
    CHECK(strict.error().status == PONDER_STATUS_FORMAT);
    json["model"]["vocab"]["<unk>"] = 260;
    json["model"]["unk_token"] = "<unk>";
    const auto tokenizer = open_tokenizer(json);
    CHECK(encode(*tokenizer, "abz") == Ids{256, 260});
    CHECK(tokenizer->kind(260) == TokenKind::kUnknown);
}

TEST_CASE("tokenizer: decoding refuses ids out of range") {
    const auto tokenizer = open_tokenizer(tiny_tokenizer_json());
    CHECK(tokenizer->n_tokens() == 304);
    for (const TokenId id : {-1, 304, INT32_MAX, INT32_MIN}) {
        const auto text = tokenizer->decode(Ids{'a', id});
        REQUIRE_FALSE(text);
        CHECK(text.error().status == PONDER_STATUS_INVALID_ARGUMENT);
        CHECK(tokenizer->decode(id).empty());
        CHECK(tokenizer->kind(id) == TokenKind::kUnused);
        CHECK_FALSE(tokenizer->is_end_of_generation(id));
    }
    CHECK(tokenizer->kind(270) == TokenKind::kUnused);
}

TEST_CASE("tokenizer: named tokens and ends of generation") {
    const auto tokenizer =
        open_tokenizer(tiny_tokenizer_json(), R"({"bos_token": {"content": "<s>"}, "eos_token": "<think>", "add_bos_token": true})");
    CHECK(tokenizer->bos() == 300);
    CHECK(tokenizer->eos() == 301);
    CHECK(tokenizer->pad() == kNoToken);
    CHECK(tokenizer->adds_bos());
    CHECK(tokenizer->is_end_of_generation(301));
    CHECK(tokenizer->is_end_of_generation(303));        // by its text
    CHECK_FALSE(tokenizer->is_end_of_generation(259));  // "</s>", but ordinary
    CHECK(tokenizer->find_special("<think>") == 301);
    CHECK(tokenizer->find_special("</s>") == kNoToken);
    CHECK(tokenizer->find_special("") == kNoToken);
    CHECK(tokenizer->kind(300) == TokenKind::kControl);
    CHECK(tokenizer->kind(301) == TokenKind::kUserDefined);
    CHECK(tokenizer->kind(256) == TokenKind::kNormal);
}

TEST_CASE("tokenizer: pieces that are tokens are taken whole where merges are ignored") {
    auto json = tiny_tokenizer_json();
    json["model"]["vocab"]["xyz"] = 260;
    CHECK(encode(*open_tokenizer(json), "xyz") == Ids{'x', 'y', 'z'});
    json["model"]["ignore_merges"] = true;
    const auto tokenizer = open_tokenizer(json);
    CHECK(encode(*tokenizer, "xyz") == Ids{260});
    CHECK(encode(*tokenizer, "xyzz") == Ids{'x', 'y', 'z', 'z'});
}

TEST_CASE("tokenizer: long runs and repeated words give the same tokens as short ones") {
    const auto tokenizer = open_tokenizer(tiny_tokenizer_json());
    for (const std::string unit : {"abc", "ab", " a", " ", "\n", "7", "!", "\u4e2d", "\U0001F600", "\u0301", "\xff"}) {
        std::string text;
        while (text.size() < 300'000) text += unit;
        const Ids ids = encode(*tokenizer, text);
        std::string decoded;
        for (const TokenId id : ids) decoded += tokenizer->decode(id);
        CHECK(decoded == text);
    }
    std::string abc;
    for (int i = 0; i < 1'000; ++i) abc += "abc";
    CHECK(encode(*tokenizer, abc) == Ids(1'000, 257));
}
