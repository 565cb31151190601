// SPDX-License-Identifier: Apache-2.0
// Character classes, the byte alphabet, and NFC on top of utf8proc's tables.
#include "text/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/utf8.hpp"

namespace ponder {

namespace {

// Below this every character is a starter that is its own NFC and composes with nothing before it.
constexpr uint32_t kFirstCombining = 0x300;
constexpr auto kNfcOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

constexpr bool is_own_printable(unsigned byte) { return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174; }

struct ByteAlphabet {
    std::array<uint16_t, 256> to_printable{};
    std::array<int16_t, 0x144> to_byte{};
};

constexpr ByteAlphabet make_byte_alphabet() {
    ByteAlphabet alphabet;
    for (int16_t& byte : alphabet.to_byte) byte = -1;
    unsigned next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const unsigned printable = is_own_printable(byte) ? byte : next++;
        alphabet.to_printable[byte] = static_cast<uint16_t>(printable);
        alphabet.to_byte[printable] = static_cast<int16_t>(byte);
    }
    return alphabet;
}

constexpr ByteAlphabet kByteAlphabet = make_byte_alphabet();

// Canonical order: each run of non-starters stably sorted by combining class. utf8proc's own decomposition sorts by exchanging neighbours,
// which takes quadratic time on the long runs of marks that a text can be made of.
void order_marks(std::vector<utf8proc_int32_t>& code_points) {
    const auto combining_class = [](utf8proc_int32_t code_point) { return utf8proc_get_property(code_point)->combining_class; };
    for (size_t i = 0; i < code_points.size(); ++i) {
        if (combining_class(code_points[i]) == 0) continue;
        size_t end = i + 1;
        while (end < code_points.size() && combining_class(code_points[end]) != 0) ++end;
        std::stable_sort(code_points.begin() + static_cast<std::ptrdiff_t>(i), code_points.begin() + static_cast<std::ptrdiff_t>(end),
                         [&](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
        i = end;
    }
}

// True if a character can change in NFC, or change what is before it.
bool may_normalize(const Utf8Step& step) {
    return step.state == Utf8State::kValid && step.code_point >= kFirstCombining && !is_inert_in_nfc(step.code_point);
}

// NFC of a well-formed stretch.
void append_nfc(std::string& out, std::string_view text, std::vector<utf8proc_int32_t>& code_points) {
    code_points.clear();
    for (size_t at = 0; at < text.size();) {
        const Utf8Step step = decode_utf8(text.substr(at));
        at += step.n_bytes;
        utf8proc_int32_t parts[32];  // the longest canonical decomposition has 4
        int boundary_class = 0;
        const utf8proc_ssize_t n =
            utf8proc_decompose_char(static_cast<utf8proc_int32_t>(step.code_point), parts, std::size(parts), kNfcOptions, &boundary_class);
        if (n > 0 && n <= static_cast<utf8proc_ssize_t>(std::size(parts))) {
            code_points.insert(code_points.end(), parts, parts + n);
        } else {
            code_points.push_back(static_cast<utf8proc_int32_t>(step.code_point));
        }
    }
    order_marks(code_points);
    const utf8proc_ssize_t n = utf8proc_normalize_utf32(code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()), kNfcOptions);
    for (utf8proc_ssize_t i = 0; i < n; ++i) append_utf8(out, static_cast<uint32_t>(code_points[static_cast<size_t>(i)]));
}

}  // namespace

std::string normalize_nfc(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    std::vector<utf8proc_int32_t> code_points;
    size_t copied = 0;  // text before this is in `out`
    size_t base = 0;    // begin of the last character, with which a mark may compose
    for (size_t at = 0; at < text.size();) {
        if (static_cast<uint8_t>(text[at]) < 0x80) {
            base = at++;
            continue;
        }
        Utf8Step step = decode_utf8(text.substr(at));
        if (!may_normalize(step)) {
            const bool can_be_base = step.state == Utf8State::kValid && step.code_point < kFirstCombining;
            base = can_be_base ? at : at + step.n_bytes;
            at += step.n_bytes;
            continue;
        }
        const size_t begin = std::max(base, copied);
        out.append(text.substr(copied, begin - copied));
        while (at < text.size()) {
            step = decode_utf8(text.substr(at));
            if (!may_normalize(step)) break;
            at += step.n_bytes;
        }
        append_nfc(out, text.substr(begin, at - begin), code_points);
        copied = base = at;
    }
    out.append(text.substr(copied));
    return out;
}

bool is_white_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_word_character(uint32_t code_point) {
    // Alphabetic although symbols, and the joiners.
    constexpr uint32_t kOthers[][2] = {{0x200c, 0x200d}, {0x24b6, 0x24e9}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};
    for (const auto& [first, last] : kOthers) {
        if (code_point >= first && code_point <= last) return true;
    }
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ME:
        case UTF8PROC_CATEGORY_ND:
        case UTF8PROC_CATEGORY_NL:
        case UTF8PROC_CATEGORY_PC:
            return true;
        default:
            return false;
    }
}

uint32_t byte_to_printable(uint8_t byte) { return kByteAlphabet.to_printable[byte]; }

int printable_to_byte(uint32_t code_point) { return code_point < kByteAlphabet.to_byte.size() ? kByteAlphabet.to_byte[code_point] : -1; }

}  // namespace ponder
