// SPDX-License-Identifier: Apache-2.0
// JSON reading against the public parsing suite and the limits, and writing of malformed text.
#include "format/json.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "base/mapped_file.hpp"
#include "test_data.hpp"

using ponder::parse_json;

TEST_CASE("json: JSONTestSuite") {
    const std::string folder = "json-schema/JSONTestSuite/test_parsing";
    if (!ponder_test::has_data(folder)) return;
    size_t n_accepted = 0, n_refused = 0;
    for (const auto& entry : std::filesystem::directory_iterator(ponder_test::data_path(folder))) {
        const std::string name = entry.path().filename().string();
        const auto text = ponder::read_file(entry.path().string(), 1u << 24);
        REQUIRE(text);
        const auto document = parse_json(*text);
        if (name.starts_with("y_")) {
            CHECK_MESSAGE(document, name);
            ++n_accepted;
        }
        if (name.starts_with("n_")) {
            CHECK_MESSAGE(!document, name);
            ++n_refused;
        }
        if (document) CHECK_MESSAGE(parse_json(ponder::dump_json(*document)), name);
    }
    MESSAGE(n_accepted << " accepted, " << n_refused << " refused");
    CHECK(n_accepted > 50);
    CHECK(n_refused > 100);
}

TEST_CASE("json: builds documents") {
    const auto document = parse_json(R"({"a": [1, -2, 2.5, true, null, {"b": "\u00e9"}], "c": {}, "a2": 18446744073709551615})");
    REQUIRE(document);
    CHECK(ponder::dump_json(*document) == R"({"a":[1,-2,2.5,true,null,{"b":"é"}],"a2":18446744073709551615,"c":{}})");
    CHECK(ponder::dump_json(*parse_json("7")) == "7");
    CHECK((*parse_json(R"({"a": [1, 2], "b": 0, "a": "last"})"))["a"] == "last");
}

TEST_CASE("json: errors name the byte") {
    struct Case {
        const char* text;
        const char* words;
    };
    for (const Case& c : {Case{"[1, 2", "syntax error at byte 6"}, Case{"{\"a\" 1}", "syntax error at byte 6"},
                          Case{"", "syntax error at byte 1"}, Case{"[1e999]", "number out of range at byte"},
                          Case{"\"\xff\"", "syntax error at byte 2"}, Case{"1 2", "syntax error at byte 3"}}) {
        const auto document = parse_json(c.text);
        REQUIRE_MESSAGE(!document, c.text);
        CHECK(document.error().status == PONDER_STATUS_FORMAT);
        CHECK_MESSAGE(document.error().message.find(c.words) != std::string::npos, document.error().message);
    }
}

TEST_CASE("json: depth and size are limited") {
    const auto nested = [](size_t n, bool is_closed) { return std::string(n, '[') + (is_closed ? std::string(n, ']') : std::string()); };
    CHECK(parse_json(nested(128, true)));
    for (const std::string& text : {nested(129, true), nested(1'000'000, false), nested(1'000'000, true)}) {
        const auto document = parse_json(text);
        REQUIRE(!document);
        CHECK(document.error().status == PONDER_STATUS_LIMIT);
    }
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
    CHECK(parse_json(objects).error().message == "JSON: nested deeper than 128");
    CHECK(parse_json("[1,2,3]", 6).error().message == "JSON: 7 bytes, the limit is 6");
}

TEST_CASE("json: malformed UTF-8 is replaced when written") {
    CHECK(ponder::dump_json(nlohmann::json("a\xff"
                                           "b\n")) ==
          "\"a\xef\xbf\xbd"
          "b\\n\"");
}
