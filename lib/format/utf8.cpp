// SPDX-License-Identifier: Apache-2.0
// UTF-8 validation, one sequence at a time.
#include "format/utf8.hpp"

#include <cstddef>
#include <cstdint>

namespace ponder {

namespace {

constexpr size_t kMaxPrintableBytes = 100;

uint8_t byte_at(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

// Length of the well-formed sequence at the front of non-empty `text`, or 0.
size_t sequence_length(std::string_view text) {
    const uint8_t lead = byte_at(text, 0);
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || lead > 0xf4) return 0;
    const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (text.size() < length) return 0;
    for (size_t i = 1; i < length; ++i) {
        if ((byte_at(text, i) & 0xc0) != 0x80) return 0;
    }
    // Only the second byte has a narrower range after these four leads: overlong forms, surrogates, beyond U+10FFFF.
    const uint8_t second = byte_at(text, 1);
    if (lead == 0xe0 && second < 0xa0) return 0;
    if (lead == 0xed && second > 0x9f) return 0;
    if (lead == 0xf0 && second < 0x90) return 0;
    if (lead == 0xf4 && second > 0x8f) return 0;
    return length;
}

}  // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t length = sequence_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string printable(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        if (shown.size() >= kMaxPrintableBytes) return shown + "...";
        const size_t length = sequence_length(text);
        const bool is_control = length == 1 && (byte_at(text, 0) < 0x20 || byte_at(text, 0) == 0x7f);
        if (length == 0 || is_control) {
            shown += '?';
        } else {
            shown += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return shown;
}

}  // namespace ponder
