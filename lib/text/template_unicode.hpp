// SPDX-License-Identifier: Apache-2.0
// Code points as Python's str sees them: decoding, classes and letter case for the template engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ponder::jinja {

struct CodePoint {
    uint32_t value = 0;
    size_t size = 1;  // bytes
};

// The code point at byte `at` (< text.size()). A byte that starts no valid UTF-8 sequence is a code point of its own with the value
// 0xDC00 + byte, as Python's "surrogateescape" has it, so that every text can be walked.
CodePoint decode_utf8(std::string_view text, size_t at);

size_t count_code_points(std::string_view text);

inline bool is_surrogate(uint32_t c) { return c >= 0xd800 && c < 0xe000; }

// Python's str predicates of one code point. is_cased and is_case_ignorable are Unicode's (approximated by general category).
bool is_space(uint32_t c);
bool is_alpha(uint32_t c);
bool is_decimal(uint32_t c);
bool is_digit(uint32_t c);
bool is_numeric(uint32_t c);
bool is_word(uint32_t c);       // \w of a regular expression
bool is_printable(uint32_t c);  // what repr() leaves as it is
bool is_upper(uint32_t c);
bool is_lower(uint32_t c);
bool is_title(uint32_t c);
bool is_case_ignorable(uint32_t c);

inline bool is_cased(uint32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

// The UTF-8 of one code point in another letter case: up to three code points.
class MappedCase {
  public:
    explicit MappedCase(uint32_t code_point);
    explicit MappedCase(std::string_view utf8);
    std::string_view utf8() const { return {bytes_, size_}; }

  private:
    char bytes_[12];
    uint8_t size_;
};

// `original` is the bytes that `c` was decoded from.
MappedCase to_upper(CodePoint c, std::string_view original);
MappedCase to_lower(CodePoint c, std::string_view original);
MappedCase to_title(CodePoint c, std::string_view original);

}  // namespace ponder::jinja
