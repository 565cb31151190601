// SPDX-License-Identifier: Apache-2.0
// UTF-8 decoding by the table of well-formed byte sequences (Unicode, table 3-7).
#include "base/utf8.hpp"

#include <algorithm>
#include <cstring>

namespace ponder {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct LeadByte {
    uint32_t n_bytes;  // 0: no sequence begins with it
    uint8_t second_min, second_max;
    uint8_t payload_mask;
};

constexpr LeadByte lead_byte(uint8_t lead) {
    if (lead < 0x80) return {1, 0, 0, 0x7f};
    if (lead < 0xc2) return {0, 0, 0, 0};
    if (lead < 0xe0) return {2, 0x80, 0xbf, 0x1f};
    if (lead == 0xe0) return {3, 0xa0, 0xbf, 0x0f};
    if (lead == 0xed) return {3, 0x80, 0x9f, 0x0f};
    if (lead < 0xf0) return {3, 0x80, 0xbf, 0x0f};
    if (lead == 0xf0) return {4, 0x90, 0xbf, 0x07};
    if (lead < 0xf4) return {4, 0x80, 0xbf, 0x07};
    if (lead == 0xf4) return {4, 0x80, 0x8f, 0x07};
    return {0, 0, 0, 0};
}

// Bytes of `text` that are ASCII from the start on, eight at a time.
size_t ascii_prefix(std::string_view text) {
    size_t n = 0;
    for (; n + 8 <= text.size(); n += 8) {
        uint64_t word;
        std::memcpy(&word, text.data() + n, sizeof word);
        if ((word & 0x8080808080808080u) != 0) break;
    }
    while (n < text.size() && static_cast<uint8_t>(text[n]) < 0x80) ++n;
    return n;
}

// Appends `bytes` with malformed parts replaced; an unfinished sequence at the end is left out and its length returned.
size_t append_valid(std::string& out, std::string_view bytes) {
    while (!bytes.empty()) {
        const size_t n_valid = valid_utf8_prefix(bytes);
        out.append(bytes.substr(0, n_valid));
        bytes.remove_prefix(n_valid);
        if (bytes.empty()) break;
        const Utf8Step step = decode_utf8(bytes);
        if (step.state == Utf8State::kIncomplete) return bytes.size();
        out.append(kReplacement);
        bytes.remove_prefix(step.n_bytes);
    }
    return 0;
}

}  // namespace

Utf8Step decode_utf8(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const LeadByte lead = lead_byte(byte(0));
    if (lead.n_bytes == 0) return {0, 1, Utf8State::kInvalid};
    uint32_t code_point = byte(0) & lead.payload_mask;
    for (uint32_t i = 1; i < lead.n_bytes; ++i) {
        if (i == text.size()) return {0, i, Utf8State::kIncomplete};
        const uint8_t low = i == 1 ? lead.second_min : 0x80, high = i == 1 ? lead.second_max : 0xbf;
        if (byte(i) < low || byte(i) > high) return {0, i, Utf8State::kInvalid};
        code_point = code_point << 6 | (byte(i) & 0x3fu);
    }
    return {code_point, lead.n_bytes, Utf8State::kValid};
}

size_t valid_utf8_prefix(std::string_view text) {
    size_t n = 0;
    while (n < text.size()) {
        n += ascii_prefix(text.substr(n));
        if (n == text.size()) break;
        const Utf8Step step = decode_utf8(text.substr(n));
        if (step.state != Utf8State::kValid) break;
        n += step.n_bytes;
    }
    return n;
}

size_t encode_utf8(uint32_t code_point, char* out) {
    if (code_point < 0x80) {
        out[0] = static_cast<char>(code_point);
        return 1;
    }
    const size_t n_bytes = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    constexpr uint32_t kLeads[] = {0xc0, 0xe0, 0xf0};
    for (size_t i = n_bytes - 1; i > 0; i--, code_point >>= 6) out[i] = static_cast<char>(0x80 | (code_point & 0x3f));
    out[0] = static_cast<char>(kLeads[n_bytes - 2] | code_point);
    return n_bytes;
}

void append_utf8(std::string& text, uint32_t code_point) {
    char bytes[4];
    text.append(bytes, encode_utf8(code_point, bytes));
}

std::string to_valid_utf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    if (append_valid(out, bytes) > 0) out.append(kReplacement);
    return out;
}

std::string printable(std::string_view text) {
    constexpr size_t kMaxBytes = 100;
    std::string shown;
    while (!text.empty()) {
        if (shown.size() >= kMaxBytes) return shown + "...";
        const Utf8Step step = decode_utf8(text);
        const bool is_shown = step.state == Utf8State::kValid && step.code_point >= 0x20 && step.code_point != 0x7f;
        shown += is_shown ? text.substr(0, step.n_bytes) : "?";
        text.remove_prefix(step.n_bytes);
    }
    return shown;
}

std::string Utf8Stream::push(std::string_view bytes) {
    std::string out;
    pending_.append(bytes);
    const size_t n_kept = append_valid(out, pending_);
    pending_.erase(0, pending_.size() - n_kept);
    return out;
}

std::string Utf8Stream::flush() {
    std::string out;
    if (!pending_.empty()) out.append(kReplacement);
    pending_.clear();
    return out;
}

}  // namespace ponder
