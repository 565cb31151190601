// SPDX-License-Identifier: Apache-2.0
// Hostile and unusual tokenizer.json files: each gives a status and a message, none a crash or a hang.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "tokenizer_fixture.hpp"

using nlohmann::json;
using ponder::TokenId;
using ponder::Tokenizer;
using ponder_test::encode;
using ponder_test::open_tokenizer;
using ponder_test::tiny_tokenizer_json;
using Ids = std::vector<TokenId>;

namespace {

ponder_status status_of(const std::string& text) {
    const auto tokenizer = Tokenizer::from_json(text);
    if (tokenizer) return PONDER_STATUS_OK;
    CHECK_FALSE(tokenizer.error().message.empty());
    return tokenizer.error().status;
}

// The status after one change to the tiny file, given as a JSON pointer and its new value.
ponder_status status_with(const char* pointer, json value) {
    json file = tiny_tokenizer_json();
    file[json::json_pointer(pointer)] = std::move(value);
    return status_of(file.dump());
}

json split(const char* kind, const char* pattern, const char* behavior, bool is_inverted = false) {
    return {{"type", "Split"}, {"pattern", {{kind, pattern}}}, {"behavior", behavior}, {"invert", is_inverted}};
}

json with_split(json stage) {
    json file = tiny_tokenizer_json();
    file["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers", {std::move(stage), {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
    return file;
}

}  // namespace

TEST_CASE("tokenizer_json: malformed JSON") {
    for (const char* text :
         {"", "{", "[]", "null", "7", "{}", "{\"model\":[]}", "{\"model\":{\"vocab\":{\"a\":1}", "\xff", "{\"a\":\"\xff\"}"}) {
        CHECK(status_of(text) == PONDER_STATUS_FORMAT);
    }
    CHECK(status_of("{\"model\":{}}") == PONDER_STATUS_UNSUPPORTED);  // neither byte-level nor with marked spaces
    CHECK(status_of(std::string(1'000, '[') + std::string(1'000, ']')) == PONDER_STATUS_LIMIT);
    CHECK(status_of("{\"a\":" + std::string(100'000, '[')) == PONDER_STATUS_LIMIT);
}

TEST_CASE("tokenizer_json: vocabulary and merges of the wrong shape") {
    CHECK(status_with("/model/vocab/a", -1) == PONDER_STATUS_LIMIT);
    CHECK(status_with("/model/vocab/a", 1e9) == PONDER_STATUS_FORMAT);
    CHECK(status_with("/model/vocab/a", 18446744073709551615u) == PONDER_STATUS_LIMIT);
    CHECK(status_with("/model/vocab/a", 1 << 22) == PONDER_STATUS_LIMIT);
    CHECK(status_with("/model/vocab/a", "x") == PONDER_STATUS_FORMAT);
    CHECK(status_with("/model/vocab/a", json::array()) == PONDER_STATUS_FORMAT);
    CHECK(status_with("/model/vocab", json::object()) == PONDER_STATUS_FORMAT);
    CHECK(status_with("/model/vocab", json::array({1, 2})) == PONDER_STATUS_FORMAT);
    CHECK(status_with("/model/vocab", nullptr) == PONDER_STATUS_FORMAT);
    CHECK(status_with("/model/vocab", json{{std::string(65'537, 'a'), 0}}) == PONDER_STATUS_LIMIT);
    for (const json& merge :
         {json("ab"), json("a b c"), json(" b"), json("a "), json("a q9"), json(""), json(7), json::array({"a"}),
          json::array({"a", "b", "c"}), json::array({"a", ""}), json::array({"a", 1}), json::array({json::array({"a"})})}) {
        CHECK(status_with("/model/merges", json::array({merge})) == PONDER_STATUS_FORMAT);
    }
    CHECK(status_with("/model/merges", json::array({"a c"})) == PONDER_STATUS_FORMAT);  // "ac" is no token
    CHECK(status_with("/model/merges", json::array({json::array({"a", "b"})})) == PONDER_STATUS_OK);
}

TEST_CASE("tokenizer_json: too many merges") {
    std::string file = R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[)";
    for (int i = 0; i < (1 << 22); ++i) file += "\"\",";
    file += R"("",""]}})";
    CHECK(status_of(file) == PONDER_STATUS_LIMIT);
}

TEST_CASE("tokenizer_json: components that are not known are refused by name") {
    const std::pair<const char*, json> changes[] = {
        {"/model/type", "Unigram"},
        {"/model/dropout", 0.1},
        {"/model/end_of_word_suffix", "</w>"},
        {"/normalizer", {{"type", "Lowercase"}}},
        {"/normalizer", {{"type", "Replace"}, {"pattern", {{"String", "x"}}}, {"content", "y"}}},
        {"/pre_tokenizer", {{"type", "BertPreTokenizer"}}},
        {"/pre_tokenizer", {{"type", "Digits"}}},
        {"/pre_tokenizer", nullptr},
        {"/decoder", {{"type", "WordPiece"}}},
        {"/decoder", nullptr},
        {"/post_processor", {{"type", "RobertaProcessing"}}},
    };
    for (const auto& [pointer, value] : changes) CHECK(status_with(pointer, value) == PONDER_STATUS_UNSUPPORTED);
    CHECK(Tokenizer::from_json(R"({"model":{"type":"WordPiece","vocab":{"a":0}}})").error().message.find("WordPiece") != std::string::npos);
    CHECK(status_of(with_split(split("Regex", "a", "Sideways")).dump()) == PONDER_STATUS_UNSUPPORTED);
    CHECK(status_with("/pre_tokenizer/type", 3) == PONDER_STATUS_FORMAT);
    CHECK(status_with("/model/byte_fallback", "yes") == PONDER_STATUS_FORMAT);
}

TEST_CASE("tokenizer_json: added tokens") {
    const auto added = [](json token) { return status_with("/added_tokens", json::array({std::move(token)})); };
    CHECK(added({{"id", 300}, {"content", "x"}}) == PONDER_STATUS_OK);
    CHECK(added({{"id", 300}, {"content", ""}}) == PONDER_STATUS_OK);
    CHECK(added({{"id", -1}, {"content", "x"}}) == PONDER_STATUS_LIMIT);
    CHECK(added({{"id", 18446744073709551615u}, {"content", "x"}}) == PONDER_STATUS_LIMIT);
    CHECK(added({{"id", 1 << 22}, {"content", "x"}}) == PONDER_STATUS_LIMIT);
    CHECK(added({{"id", 1.5}, {"content", "x"}}) == PONDER_STATUS_FORMAT);
    CHECK(added({{"content", "x"}}) == PONDER_STATUS_FORMAT);
    CHECK(added({{"id", 97}, {"content", "x"}}) == PONDER_STATUS_FORMAT);  // the id of "a"
    CHECK(added({{"id", 97}, {"content", "a"}}) == PONDER_STATUS_OK);
    CHECK(added({{"id", 300}, {"content", 5}}) == PONDER_STATUS_FORMAT);
    CHECK(added({{"id", 300}, {"content", std::string(257, 'x')}}) == PONDER_STATUS_LIMIT);
    CHECK(added("x") == PONDER_STATUS_FORMAT);
    CHECK(status_with("/added_tokens", 1) == PONDER_STATUS_FORMAT);
}

TEST_CASE("tokenizer_json: plain text never merges into a control token") {
    json file = tiny_tokenizer_json();
    file["added_tokens"].push_back({{"id", 256}, {"content", "ab"}, {"special", true}});
    const auto tokenizer = open_tokenizer(file);
    CHECK(encode(*tokenizer, "ab") == Ids{'a', 'b'});
    CHECK(encode(*tokenizer, "ab", {.parse_special = true}) == Ids{256});
}

TEST_CASE("tokenizer_json: split behaviors") {
    const auto pieces = [](const char* behavior, bool is_inverted, const char* kind, const char* pattern) {
        // Merges "a-", "-b" and "--" show where cuts are.
        json file = with_split(split(kind, pattern, behavior, is_inverted));
        file["model"]["vocab"].update({{"a-", 261}, {"-b", 262}, {"--", 263}});
        file["model"]["merges"] = {"- -", "a -", "- b"};
        return encode(*open_tokenizer(file), "a--b");
    };
    for (const auto& [kind, pattern] : {std::pair{"String", "-"}, std::pair{"Regex", "[-]"}}) {
        CHECK(pieces("Isolated", false, kind, pattern) == Ids{'a', '-', '-', 'b'});
        CHECK(pieces("Removed", false, kind, pattern) == Ids{'a', 'b'});
        CHECK(pieces("Removed", true, kind, pattern) == Ids{'-', '-'});
        CHECK(pieces("MergedWithPrevious", false, kind, pattern) == Ids{261, '-', 'b'});
        CHECK(pieces("MergedWithNext", false, kind, pattern) == Ids{'a', '-', 262});
        CHECK(pieces("Contiguous", false, kind, pattern) == Ids{'a', 263, 'b'});
    }
    CHECK(pieces("Isolated", false, "Regex", "x*") == Ids{'a', '-', '-', 'b'});  // empty matches cut
}

TEST_CASE("tokenizer_json: patterns that are malformed, foreign or endless") {
    for (const char* pattern : {"(", "[a", "a{2,1}", "\\p{Nothing}", "\\C", ""}) {
        CHECK(status_of(with_split(split("Regex", pattern, "Isolated")).dump()) == PONDER_STATUS_FORMAT);
    }
    for (const char* pattern : {"[a-z&&[^b]]", "[[a]]", "\\h", "(*UTF)a", "(?<x>a)\\k<x>"}) {
        CHECK(status_of(with_split(split("Regex", pattern, "Isolated")).dump()) == PONDER_STATUS_UNSUPPORTED);
    }
    CHECK(status_of(with_split(split("Regex", std::string(20'000, 'a').c_str(), "Isolated")).dump()) == PONDER_STATUS_LIMIT);
    const std::string text = std::string(100'000, 'a') + "!";
    for (const char* pattern : {"(?:a+)+$", "(?:a|a)*b", "(?:a|aa)+$", "a*b", ".*.*.*x", "(?=(?:a+)+c)", "(?:a*)*c", "(?R)?a+c"}) {
        const auto tokenizer = open_tokenizer(with_split(split("Regex", pattern, "Isolated")));
        const auto ids = tokenizer->encode(text);
        if (!ids) CHECK(ids.error().status == PONDER_STATUS_LIMIT);
    }
    CHECK(encode(*open_tokenizer(with_split(split("Regex", "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "Isolated"))), std::string(1'000'000, ' '))
              .size() == 1'000'000);
}

TEST_CASE("tokenizer_json: SentencePiece style with byte fallback") {
    json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"\u2581", 2}, {"a", 3}, {"b", 4}, {"\u2581a", 5}, {"ab", 6}, {"\u2581ab", 7}};
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", byte);
        vocabulary[text] = 10 + byte;
    }
    json file = {
        {"added_tokens", {{{"id", 0}, {"content", "<unk>"}, {"special", true}}, {{"id", 1}, {"content", "<s>"}, {"special", true}}}},
        {"normalizer",
         {{"type", "Sequence"},
          {"normalizers",
           {{{"type", "Prepend"}, {"prepend", "\u2581"}}, {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}}},
        {"decoder",
         {{"type", "Sequence"},
          {"decoders",
           {{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
            {{"type", "ByteFallback"}},
            {{"type", "Fuse"}},
            {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
        {"model",
         {{"type", "BPE"},
          {"unk_token", "<unk>"},
          {"fuse_unk", true},
          {"byte_fallback", true},
          {"vocab", vocabulary},
          {"merges", {"a b", "\u2581 ab", "\u2581 a"}}}}};
    const auto tokenizer = open_tokenizer(file);
    CHECK(encode(*tokenizer, "ab a") == Ids{7, 5});
    CHECK(encode(*tokenizer, "ab<s>ab", {.parse_special = true}) == Ids{7, 1, 7});
    CHECK(encode(*tokenizer,
                 "\u2581"
                 "ab") == Ids{2, 7});
    CHECK(encode(*tokenizer, "a\u00e9\xff") == Ids{5, 10 + 0xc3, 10 + 0xa9, 10 + 0xff});
    CHECK(tokenizer->decode(10 + 0xc3) == "\xc3");
    const auto text = tokenizer->decode(Ids{7, 5, 10 + 0xc3, 10 + 0xa9});
    REQUIRE(text);
    CHECK(*text == "ab a\u00e9");
    file["model"]["vocab"].erase("<0xC3>");
    CHECK(encode(*open_tokenizer(file), "a\u00e9\u00e9") == Ids{5, 0});
}
