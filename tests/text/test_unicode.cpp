// SPDX-License-Identifier: Apache-2.0
// UTF-8 decoding and streaming, NFC, the byte alphabet, and characters newer than the pattern library's tables.
#include "text/unicode.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "base/utf8.hpp"

using namespace std::string_literals;
using ponder::decode_utf8;
using ponder::normalize_nfc;
using ponder::to_valid_utf8;
using ponder::Utf8State;
using ponder::Utf8Stream;

TEST_CASE("unicode: every scalar value survives UTF-8") {
    for (uint32_t c = 0; c < 0x110000; ++c) {
        if (c >= 0xd800 && c < 0xe000) continue;
        std::string text;
        ponder::append_utf8(text, c);
        const auto step = decode_utf8(text);
        if (step.state != Utf8State::kValid || step.code_point != c || step.n_bytes != text.size()) FAIL("code point " << c);
    }
}

TEST_CASE("unicode: malformed bytes are replaced by maximal subparts") {
    CHECK(to_valid_utf8("a\xff"s
                        "b") == "a\uFFFDb");
    CHECK(to_valid_utf8("\xc0\x80") == "\uFFFD\uFFFD");
    CHECK(to_valid_utf8("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");
    CHECK(to_valid_utf8("\xf0\x9f\x98") == "\uFFFD");
    CHECK(to_valid_utf8("\xf0\x9f\x98z") == "\uFFFDz");
    CHECK(to_valid_utf8("\xe4\xb8\xe4\xb8\xad") == "\uFFFD\u4E2D");
    CHECK(to_valid_utf8("\xf4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST_CASE("unicode: a stream gives the same text however its bytes are cut") {
    const std::string bytes = "a\xe4\xb8\xad\xf0\x9f\x98\x80 \xff\xe4\xb8\xf0\x9f z\xc3"s;
    for (size_t i = 0; i <= bytes.size(); ++i) {
        for (size_t j = i; j <= bytes.size(); ++j) {
            Utf8Stream stream;
            std::string text;
            for (const auto& part : {bytes.substr(0, i), bytes.substr(i, j - i), bytes.substr(j)}) {
                const std::string whole = stream.push(part);
                CHECK(ponder::valid_utf8_prefix(whole) == whole.size());
                text += whole;
            }
            CHECK(stream.has_pending());
            text += stream.flush();
            CHECK_FALSE(stream.has_pending());
            CHECK(text == to_valid_utf8(bytes));
        }
    }
}

TEST_CASE("unicode: the byte alphabet is a bijection") {
    std::set<uint32_t> printable;
    for (int byte = 0; byte < 256; ++byte) {
        const uint32_t c = ponder::byte_to_printable(static_cast<uint8_t>(byte));
        CHECK(ponder::printable_to_byte(c) == byte);
        printable.insert(c);
    }
    CHECK(printable.size() == 256);
    CHECK(ponder::byte_to_printable(' ') == 0x120);
    CHECK(ponder::byte_to_printable('\n') == 0x10a);
    CHECK(ponder::printable_to_byte(' ') == -1);
    CHECK(ponder::printable_to_byte(0xff5c) == -1);
}

TEST_CASE("unicode: NFC") {
    CHECK(normalize_nfc("plain, caf\u00e9, \u4e2d") == "plain, caf\u00e9, \u4e2d");
    CHECK(normalize_nfc("e\u0301") == "\u00e9");
    CHECK(normalize_nfc("xe\u0301\u0327y") == "x\u0229\u0301y");  // canonical order first, then composition
    CHECK(normalize_nfc("\u1112\u1161\u11ab") == "\ud55c"s);
    CHECK(normalize_nfc("\u212b \u2126") == "\u00c5 \u03a9");  // singletons
    CHECK(normalize_nfc("\u0958") == "\u0915\u093c");          // excluded from composition
    CHECK(normalize_nfc("\u0301") == "\u0301");
    CHECK(normalize_nfc("e\xff\u0301") == "e\xff\u0301"s);  // malformed bytes stay and separate
    CHECK(normalize_nfc("\xcc") == "\xcc");
    // Expected values are those of Hugging Face's tokenizers, whose NFC is Unicode 9's: newer marks stay where they are and separate.
    CHECK(normalize_nfc("\u09fe\u0ec9") == "\u09fe\u0ec9");
    CHECK(normalize_nfc("a\u0345\u0898e\u0301") == "a\u0345\u0898\u00e9");
    CHECK(normalize_nfc("a\u0898\u0301") == "a\u0898\u0301");
    CHECK(normalize_nfc("\U00011935\U00011930") == "\U00011935\U00011930");
    CHECK(normalize_nfc("\U00011938") == "\U00011938");
    CHECK(normalize_nfc("\uac00\u11a7") == "\uac00\u11a7");  // a vowel, although Hangul's trailing consonants are counted from it
}

TEST_CASE("unicode: NFC takes linear time on runs of marks") {
    std::string marks;
    for (int i = 0; i < 200'000; ++i) marks += i < 100'000 ? "\u0301" : "\u0327";
    const std::string normal = normalize_nfc(marks);
    CHECK(normal.size() == marks.size());
    CHECK(normal.starts_with("\u0327\u0327"));
}

TEST_CASE("unicode: newer characters are matched as their neighbours") {
    std::string out;
    CHECK_FALSE(ponder::replace_newer_characters("plain \u4e2d \U0001F600", out));
    const std::string text = "a\U000105C0 \u2427b";  // letter and symbol of Unicode 16
    REQUIRE(ponder::replace_newer_characters(text, out));
    CHECK(out.size() == text.size());
    CHECK(ponder::valid_utf8_prefix(out) == out.size());
    CHECK(out == "a\U00010600 \u2426b");
}
