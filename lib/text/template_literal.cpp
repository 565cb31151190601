// SPDX-License-Identifier: Apache-2.0
// Values of string and number tokens: Python's escapes, prefixes and underscores.
#include <charconv>
#include <cstdlib>

#include "base/utf8.hpp"
#include "text/template_parser.hpp"
#include "text/template_unicode.hpp"

namespace ponder::jinja {
namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

class StringDecoder {
  public:
    explicit StringDecoder(std::string_view body) : body_(body) {}

    bool run() {
        while (at_ < body_.size()) {
            if (body_[at_] != '\\' || at_ + 1 >= body_.size()) {
                out_.push_back(body_[at_++]);
            } else if (!decode_escape()) {
                return false;
            }
        }
        return true;
    }

    std::string take() { return std::move(out_); }

  private:
    // Unknown escapes stay as they are, with their backslash.
    bool decode_escape() {
        const char c = body_[at_ + 1];
        at_ += 2;
        constexpr std::string_view kNames = "ntrabfv\\'\"", kValues = "\n\t\r\a\b\f\v\\'\"";
        if (const size_t i = kNames.find(c); i != std::string_view::npos) {
            out_.push_back(kValues[i]);
            return true;
        }
        if (c == '\n') return true;  // a line continued
        if (c >= '0' && c <= '7') return decode_octal();
        if (c == 'x') return decode_hex(2);
        if (c == 'u') return decode_hex(4);
        if (c == 'U') return decode_hex(8);
        out_.push_back('\\');
        at_ -= 1;
        return true;
    }

    // One to three digits.
    bool decode_octal() {
        uint32_t value = 0;
        --at_;
        for (int n = 0; n < 3 && at_ < body_.size() && body_[at_] >= '0' && body_[at_] <= '7'; ++n) {
            value = value * 8 + static_cast<uint32_t>(body_[at_++] - '0');
        }
        return append(value);
    }

    bool read_hex(int n_digits, uint32_t& value) {
        value = 0;
        for (int n = 0; n < n_digits; ++n) {
            const int digit = at_ < body_.size() ? hex_value(body_[at_]) : -1;
            if (digit < 0) return false;
            value = value * 16 + static_cast<uint32_t>(digit);
            ++at_;
        }
        return true;
    }

    bool decode_hex(int n_digits) {
        uint32_t value = 0;
        if (!read_hex(n_digits, value)) return false;
        const bool is_high = value >= 0xd800 && value < 0xdc00;
        if (is_high && body_.substr(at_, 2) == "\\u") {  // UTF-16 pairs, as JSON writers leave them
            at_ += 2;
            uint32_t low = 0;
            if (!read_hex(4, low) || low < 0xdc00 || low > 0xdfff) return false;
            value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
        }
        return append(value);
    }

    // A lone surrogate has no UTF-8 form.
    bool append(uint32_t value) {
        if (value > 0x10ffff || is_surrogate(value)) return false;
        char bytes[4];
        out_.append(bytes, encode_utf8(value, bytes));
        return true;
    }

    std::string_view body_;
    size_t at_ = 0;
    std::string out_;
};

}  // namespace

Result<std::string> parse_string_literal(const Token& token) {
    StringDecoder decoder(token.text.substr(1, token.text.size() - 2));
    if (!decoder.run()) return make_error(PONDER_STATUS_TEMPLATE, "line %d: escape in a string that names no code point", token.line);
    return decoder.take();
}

Result<Literal> parse_number_literal(const Token& token) {
    std::string digits;
    for (const char c : token.text) {
        if (c != '_') digits.push_back(c);
    }
    if (token.kind == TokenKind::kFloat) {
        double value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error == std::errc::result_out_of_range) return make_error(PONDER_STATUS_TEMPLATE, "line %d: number out of range", token.line);
        return Literal(value);
    }
    const char prefix = digits.size() > 1 ? static_cast<char>(digits[1] | 0x20) : '\0';
    const int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    const char* begin = digits.data() + (base == 10 ? 0 : 2);
    const char* stop = digits.data() + digits.size();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(begin, stop, value, base);
    const bool has_leading_zero = base == 10 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos;
    if (error != std::errc() || end != stop || has_leading_zero) {
        return make_error(PONDER_STATUS_TEMPLATE, "line %d: '%.60s' is not an integer of 64 bits", token.line, digits.c_str());
    }
    return Literal(value);
}

}  // namespace ponder::jinja
