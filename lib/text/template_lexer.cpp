// SPDX-License-Identifier: Apache-2.0
// The tokenizer of template sources.
#include "text/template_lexer.hpp"

#include <algorithm>
#include <array>

#include "text/template_unicode.hpp"

namespace ponder::jinja {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex_digit(char c) { return is_ascii_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Longest first where one is the beginning of another.
constexpr std::array<std::string_view, 26> kOperators = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "<",
                                                         ">",  "=",  ".",  ":",  "|",  ",",  ";", "(", ")", "[", "]", "{", "}"};

class Lexer {
  public:
    explicit Lexer(std::string_view source) : source_(source) {}

    Result<std::vector<Token>> run() {
        while (!failed_ && at_ < source_.size()) lex_root();
        if (failed_) return error_;
        push(TokenKind::kEnd, at_, at_);
        return std::move(tokens_);
    }

  private:
    bool starts_with(std::string_view what) const { return source_.substr(at_, what.size()) == what; }

    void fail(Error error) {
        error_ = std::move(error);
        failed_ = true;
    }

    void push(TokenKind kind, size_t begin, size_t end) { tokens_.push_back({kind, line_, source_.substr(begin, end - begin)}); }

    void advance_to(size_t end) {
        line_ += static_cast<int>(
            std::count(source_.begin() + static_cast<ptrdiff_t>(at_), source_.begin() + static_cast<ptrdiff_t>(end), '\n'));
        at_ = end;
    }

    size_t skip_space(size_t at) const {
        while (at < source_.size()) {
            const CodePoint c = decode_utf8(source_, at);
            if (!is_space(c.value)) break;
            at += c.size;
        }
        return at;
    }

    // End of source_[begin, end) without trailing whitespace. Space code points have no continuation byte in common with a lead byte.
    size_t trim_right(size_t begin, size_t end) const {
        while (end > begin) {
            size_t start = end - 1;
            while (start > begin && (static_cast<unsigned char>(source_[start]) & 0xc0) == 0x80) --start;
            if (!is_space(decode_utf8(source_, start).value)) break;
            end = start;
        }
        return end;
    }

    // Plain text up to the next delimiter, shortened as the delimiter's sign ('-', '+' or neither) and lstrip_blocks say.
    void push_data(size_t end, char sign, bool is_variable) {
        const size_t begin = at_;
        size_t kept = end;
        if (sign == '-') {
            kept = trim_right(begin, end);
        } else if (sign != '+' && !is_variable) {
            const size_t newline = source_.substr(begin, end - begin).rfind('\n');
            const bool has_newline = newline != std::string_view::npos;
            const size_t line_begin = has_newline ? begin + newline + 1 : begin;
            const bool is_at_line_begin = has_newline || begin == 0 || source_[begin - 1] == '\n';
            if (is_at_line_begin && skip_space(line_begin) >= end) kept = line_begin;
        }
        if (kept > begin) push(TokenKind::kData, begin, kept);
        advance_to(end);
    }

    char sign_at(size_t at) const { return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0'; }

    // A brace that opens no delimiter is text.
    void lex_root() {
        size_t open = at_;
        for (;; ++open) {
            open = source_.find('{', open);
            if (open == std::string_view::npos || open + 1 >= source_.size()) {
                push(TokenKind::kData, at_, source_.size());
                advance_to(source_.size());
                return;
            }
            if (source_[open + 1] == '{' || source_[open + 1] == '%' || source_[open + 1] == '#') break;
        }
        const char type = source_[open + 1];
        const char sign = sign_at(open + 2);
        push_data(open, sign, type == '{');
        advance_to(open + (sign ? 3 : 2));
        if (type == '#') return lex_comment();
        if (type == '%' && lex_raw()) return;
        push(type == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, open, at_);
        lex_code(type == '{');
    }

    // Position after "%}" or "#}" at `at` with its sign and what the sign and trim_blocks take away; npos if it is not there.
    size_t match_close(size_t at, std::string_view close) const {
        const char sign = sign_at(at);
        if (source_.substr(at + (sign ? 1 : 0), 2) != close) return std::string_view::npos;
        const size_t end = at + (sign ? 3 : 2);
        if (sign == '-') return skip_space(end);
        return sign == '\0' && end < source_.size() && source_[end] == '\n' ? end + 1 : end;
    }

    // Nothing inside counts, not even strings.
    void lex_comment() {
        size_t close = source_.find("#}", at_);
        if (close == std::string_view::npos)
            return fail(make_error(PONDER_STATUS_TEMPLATE, "line %d: comment without its end '#}'", line_));
        if (close > at_ && sign_at(close - 1)) --close;
        advance_to(match_close(close, "#}"));
    }

    // Position after the word with the spaces around it, or npos.
    size_t match_word(size_t at, std::string_view word) const {
        at = skip_space(at);
        return source_.substr(at, word.size()) == word ? skip_space(at + word.size()) : std::string_view::npos;
    }

    // After "{%": true if this was a raw block, which is then passed.
    bool lex_raw() {
        size_t body = match_word(at_, "raw");
        if (body == std::string_view::npos) return false;
        const bool is_stripped = body < source_.size() && source_[body] == '-';
        if (source_.substr(body + (is_stripped ? 1 : 0), 2) != "%}") return false;
        body += is_stripped ? 3 : 2;
        advance_to(is_stripped ? skip_space(body) : body);
        for (size_t open = source_.find("{%", at_); open != std::string_view::npos; open = source_.find("{%", open + 2)) {
            const char sign = sign_at(open + 2);
            const size_t close = match_word(open + (sign ? 3 : 2), "endraw");
            const size_t end = close == std::string_view::npos ? close : match_close(close, "%}");
            if (end == std::string_view::npos) continue;
            push_data(open, sign, false);
            advance_to(end);
            return true;
        }
        fail(make_error(PONDER_STATUS_TEMPLATE, "line %d: raw block without its endraw", line_));
        return true;
    }

    bool lex_end(bool is_variable) {
        if (!is_variable) {
            const size_t end = match_close(at_, "%}");
            if (end == std::string_view::npos) return false;
            push(TokenKind::kBlockEnd, at_, end);
            advance_to(end);
            return true;
        }
        const bool is_stripped = starts_with("-}}");
        if (!is_stripped && !starts_with("}}")) return false;
        push(TokenKind::kVariableEnd, at_, at_ + 2);
        advance_to(is_stripped ? skip_space(at_ + 3) : at_ + 2);
        return true;
    }

    // Tokens up to the closing delimiter, which is an operator while a bracket is open.
    void lex_code(bool is_variable) {
        brackets_.clear();
        const int first_line = line_;
        while (!failed_) {
            advance_to(skip_space(at_));
            if (at_ >= source_.size()) return fail(make_error(PONDER_STATUS_TEMPLATE, "line %d: tag without its end", first_line));
            if (brackets_.empty() && lex_end(is_variable)) return;
            lex_token();
        }
    }

    void lex_token() {
        const char c = source_[at_];
        if (is_ascii_digit(c)) return lex_number();
        if (c == '\'' || c == '"') return lex_string(c);
        size_t end = at_;
        while (end < source_.size()) {
            const CodePoint letter = decode_utf8(source_, end);
            if (!is_word(letter.value)) break;
            end += letter.size;
        }
        if (end > at_) {
            push(TokenKind::kName, at_, end);
            at_ = end;
            return;
        }
        lex_operator();
    }

    // Brackets are matched here already: while one is open, '}}' and '%}' are not the end of the tag.
    void lex_operator() {
        const auto found = std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view name) { return starts_with(name); });
        if (found == kOperators.end()) {
            return fail(make_error(PONDER_STATUS_TEMPLATE, "line %d: unexpected character U+%04X", line_,
                                   static_cast<unsigned>(decode_utf8(source_, at_).value)));
        }
        const char c = (*found)[0];
        if (c == '(' || c == '[' || c == '{') brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
        if (c == ')' || c == ']' || c == '}') {
            if (brackets_.empty() || brackets_.back() != c)
                return fail(make_error(PONDER_STATUS_TEMPLATE, "line %d: unexpected '%c'", line_, c));
            brackets_.pop_back();
        }
        push(TokenKind::kOperator, at_, at_ + found->size());
        at_ += found->size();
    }

    // Escapes are only skipped; their meaning is parse_string_literal's.
    void lex_string(char quote) {
        size_t end = at_ + 1;
        while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
        if (end >= source_.size()) return fail(make_error(PONDER_STATUS_TEMPLATE, "line %d: string without its end", line_));
        push(TokenKind::kString, at_, end + 1);
        advance_to(end + 1);
    }

    // Digits of `accept` with single underscores between them.
    template <class Accept>
    size_t skip_digits(size_t at, Accept accept) const {
        while (at < source_.size()) {
            if (accept(source_[at])) {
                ++at;
            } else if (source_[at] == '_' && at + 1 < source_.size() && accept(source_[at + 1])) {
                at += 2;
            } else {
                break;
            }
        }
        return at;
    }

    void lex_number() {
        const char kind = source_[at_] == '0' && at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
        if (kind == 'x' || kind == 'o' || kind == 'b') {
            const size_t digits = skip_digits(at_ + 2, is_hex_digit);
            push(TokenKind::kInteger, at_, digits);
            at_ = digits;
            return;
        }
        size_t end = skip_digits(at_, is_ascii_digit);
        bool is_float = false;
        const bool follows_dot =
            !tokens_.empty() && tokens_.back().text == "." && tokens_.back().kind == TokenKind::kOperator;  // x.0.1 is two indexes
        if (!follows_dot && end + 1 < source_.size() && source_[end] == '.' && is_ascii_digit(source_[end + 1])) {
            end = skip_digits(end + 1, is_ascii_digit);
            is_float = true;
        }
        if (!follows_dot && end < source_.size() && (source_[end] | 0x20) == 'e') {
            const size_t sign = end + 1 < source_.size() && (source_[end + 1] == '-' || source_[end + 1] == '+') ? 1 : 0;
            if (end + 1 + sign < source_.size() && is_ascii_digit(source_[end + 1 + sign])) {
                end = skip_digits(end + 1 + sign, is_ascii_digit);
                is_float = true;
            }
        }
        push(is_float ? TokenKind::kFloat : TokenKind::kInteger, at_, end);
        at_ = end;
    }

    std::string_view source_;
    size_t at_ = 0;
    int line_ = 1;
    std::vector<Token> tokens_;
    std::vector<char> brackets_;  // the closing brackets that are due, innermost last
    Error error_;
    bool failed_ = false;
};

}  // namespace

// The one line end at the end goes because editors add it; Jinja2 calls this keep_trailing_newline = false.
std::string normalize_newlines(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
        if (source[i] != '\r') {
            out.push_back(source[i]);
        } else {
            out.push_back('\n');
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        }
    }
    if (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace ponder::jinja
