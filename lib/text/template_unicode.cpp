// SPDX-License-Identifier: Apache-2.0
// UTF-8 walking and Python's code point classes, on top of utf8proc's general categories.
#include "text/template_unicode.hpp"

#include <utf8proc.h>

#include <cstring>

#include "base/utf8.hpp"

namespace ponder::jinja {
namespace {

utf8proc_category_t category(uint32_t c) {
    return is_surrogate(c) ? UTF8PROC_CATEGORY_CS : utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

// How many of the bytes from `at` on are ASCII, counted eight at a time.
size_t ascii_run(std::string_view text, size_t at) {
    const size_t begin = at;
    for (; text.size() - at >= 8; at += 8) {
        uint64_t eight = 0;
        std::memcpy(&eight, text.data() + at, sizeof eight);
        if (eight & 0x8080808080808080u) break;
    }
    return at - begin;
}

}  // namespace

CodePoint decode_utf8(std::string_view text, size_t at) {
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0x80) return {lead, 1};
    const Utf8Step step = ponder::decode_utf8(text.substr(at));
    if (step.state != Utf8State::kValid) return {0xdc00u + lead, 1};
    return {step.code_point, step.n_bytes};
}

size_t count_code_points(std::string_view text) {
    size_t count = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t n_ascii = ascii_run(text, at);
        at += n_ascii;
        count += n_ascii;
        for (size_t i = 0; i < 8 && at < text.size(); ++i, ++count) at += decode_utf8(text, at).size;
    }
    return count;
}

bool is_space(uint32_t c) {
    if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool is_alpha(uint32_t c) {
    const auto k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_digit(uint32_t c) {
    const bool is_raised =
        c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089);
    const bool is_enclosed = (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247c) || (c >= 0x2488 && c <= 0x2490) || c == 0x24ea ||
                             (c >= 0x24f5 && c <= 0x24fd) || c == 0x24ff || (c >= 0x2776 && c <= 0x277e) || (c >= 0x2780 && c <= 0x2788) ||
                             (c >= 0x278a && c <= 0x2792);
    return is_raised || is_enclosed || is_decimal(c);
}

bool is_numeric(uint32_t c) {
    const auto k = category(c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

bool is_word(uint32_t c) { return c == '_' || is_alpha(c) || is_numeric(c); }

bool is_printable(uint32_t c) {
    if (c < 0x7f) return c >= 0x20;
    const auto k = category(c);
    return k != UTF8PROC_CATEGORY_CN && k < UTF8PROC_CATEGORY_ZS;  // separators, controls, formats, surrogates and private use come last
}

bool is_upper(uint32_t c) {
    const bool is_letter_like = (c >= 0x2160 && c <= 0x216f) || (c >= 0x24b6 && c <= 0x24cf);  // Roman numerals, circled letters
    return is_letter_like || category(c) == UTF8PROC_CATEGORY_LU;
}

bool is_lower(uint32_t c) {
    const bool is_letter_like = c == 0xaa || c == 0xba || (c >= 0x2170 && c <= 0x217f) || (c >= 0x24d0 && c <= 0x24e9);
    return is_letter_like || category(c) == UTF8PROC_CATEGORY_LL;
}

bool is_title(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_case_ignorable(uint32_t c) {
    if (c == '\'' || c == '.' || c == ':' || c == 0xb7 || c == 0x2019) return true;
    const auto k = category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_LM ||
           k == UTF8PROC_CATEGORY_SK;
}

}  // namespace ponder::jinja
