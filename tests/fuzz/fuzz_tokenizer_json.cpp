// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a tokenizer.json, and, after the first NUL byte if there is one, a text for it to encode and decode.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.hpp"
#include "text/tokenizer.hpp"

namespace {

// Text for files that bring none: blanks, digits, letters, marks, a special token's look-alike, malformed bytes.
constexpr std::string_view kText = "Hello  world\r\n 1234 don't <s></s> \xe4\xb8\xad\xe6\x96\x87 e\xcc\x81 \xf0\x9f\x98\x80 \xff\xc3";

void require(bool condition) {
    if (!condition) std::abort();
}

void use(const ponder::Tokenizer& tokenizer, std::string_view text) {
    const std::vector<ponder::TextSpan> literal = {{text.size() / 4, text.size() / 2}};
    for (const bool parse_special : {false, true}) {
        const auto ids = tokenizer.encode(text, {.parse_special = parse_special, .literal = literal});
        if (!ids) continue;
        for (const ponder::TokenId id : *ids) require(id >= 0 && id < tokenizer.n_tokens());
        const auto decoded = tokenizer.decode(*ids);
        require(static_cast<bool>(decoded));
        require(ponder::valid_utf8_prefix(*decoded) == decoded->size());
    }
    for (ponder::TokenId id = -1; id <= std::min(tokenizer.n_tokens(), 1'000); ++id) {
        tokenizer.find_special(tokenizer.decode(id));
        tokenizer.is_end_of_generation(id);
        tokenizer.kind(id);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t nul = std::min(input.find('\0'), size);
    const auto tokenizer = ponder::Tokenizer::from_json(input.substr(0, nul));
    if (!tokenizer) return 0;
    use(**tokenizer, nul < size ? input.substr(nul + 1) : kText);
    return 0;
}
