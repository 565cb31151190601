// SPDX-License-Identifier: Apache-2.0
// A tiny byte-level tokenizer.json for tests: all 256 bytes, a few merges, and added tokens.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/utf8.hpp"
#include "text/tokenizer.hpp"
#include "text/unicode.hpp"

namespace ponder_test {

// Ids: a byte's is its value; 256 "ab", 257 "abc", 258 " a" (spelled with U+0120); added from 300 on.
inline nlohmann::json tiny_tokenizer_json() {
    nlohmann::json vocabulary = nlohmann::json::object();
    for (int byte = 0; byte < 256; ++byte) {
        std::string entry;
        ponder::append_utf8(entry, ponder::byte_to_printable(static_cast<uint8_t>(byte)));
        vocabulary[entry] = byte;
    }
    vocabulary["ab"] = 256;
    vocabulary["abc"] = 257;
    vocabulary["\u0120a"] = 258;
    vocabulary["</s>"] = 259;
    const auto added = [](int id, const char* text, bool is_special) {
        return nlohmann::json{{"id", id}, {"content", text}, {"special", is_special}, {"normalized", false}};
    };
    return {{"added_tokens",
             {added(300, "<s>", true), added(301, "<think>", false), added(302, "<think>>", false), added(303, "<|im_end|>", true)}},
            {"normalizer", nullptr},
            {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
            {"post_processor", nullptr},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "ab c", "\u0120 a"}}}}};
}

inline std::unique_ptr<ponder::Tokenizer> open_tokenizer(const nlohmann::json& json, const std::string& config = {}) {
    auto tokenizer = ponder::Tokenizer::from_json(json.dump(), config);
    REQUIRE_MESSAGE(tokenizer, tokenizer.error().message);
    return std::move(*tokenizer);
}

inline std::vector<ponder::TokenId> encode(const ponder::Tokenizer& tokenizer, const std::string& text,
                                           const ponder::EncodeOptions& options = {}) {
    auto ids = tokenizer.encode(text, options);
    REQUIRE_MESSAGE(ids, ids.error().message);
    return std::move(*ids);
}

}  // namespace ponder_test
