// SPDX-License-Identifier: Apache-2.0
// Building and cutting marked strings: the only code that touches marks.
#pragma once

#include "text/template_runtime.hpp"
#include "text/template_unicode.hpp"

namespace ponder::jinja {

// Collects pieces into one Text. Pieces from texts bring their marks.
class TextBuilder {
  public:
    explicit TextBuilder(Runtime& runtime, size_t expected_bytes = 0);

    void append(std::string_view bytes, bool is_untrusted = false);
    void append(const Text& text);
    void append(const Text& text, size_t begin, size_t end);  // bytes
    void append_repeated(std::string_view bytes, int64_t count);
    size_t size() const { return bytes_.size; }

    const Text* finish();

  private:
    Runtime& runtime_;
    ArenaArray<char> bytes_;
    ArenaArray<TextSpan> marks_;
};

// Adds [begin, end) behind `marks`, joining it to the last range where they touch.
template <class PushBack, class Last>
void add_mark(size_t begin, size_t end, Last last, PushBack push_back) {
    if (begin >= end) return;
    if (TextSpan* previous = last(); previous && previous->end == begin) {
        previous->end = end;
    } else {
        push_back(TextSpan{begin, end});
    }
}

// Bytes [begin, end) of a text; shares its bytes.
const Text* cut(Runtime& runtime, const Text& text, size_t begin, size_t end);
inline Value cut_value(Runtime& runtime, const Text& text, size_t begin, size_t end) { return Value::of(cut(runtime, text, begin, end)); }

const Text* concat(Runtime& runtime, const Text& a, const Text& b);

// True if any byte of [begin, end) is untrusted.
bool is_untrusted(const Text& text, size_t begin, size_t end);

// Byte position of `needle` at or after `from`, or npos. Linear time; charged as steps.
size_t find_text(Runtime& runtime, std::string_view text, std::string_view needle, size_t from = 0);
size_t find_last(Runtime& runtime, std::string_view text, std::string_view needle);

// Byte offset of the code point `index` (at most the length).
size_t byte_offset(std::string_view text, size_t index);

// Maps each code point by `map(CodePoint, original bytes, byte position) -> MappedCase`; a result's bytes have its original's mark.
template <class Map>
const Text* map_code_points(Runtime& runtime, const Text& text, Map map) {
    TextBuilder out(runtime, text.bytes.size());
    runtime.step(text.bytes.size() / 2);
    for (size_t at = 0; at < text.bytes.size() && runtime.ok();) {
        const CodePoint c = decode_utf8(text.bytes, at);
        const MappedCase mapped = map(c, text.bytes.substr(at, c.size), at);
        out.append(mapped.utf8(), is_untrusted(text, at, at + c.size));
        at += c.size;
    }
    return out.finish();
}

// ---- printing of values (template_print.cpp, template_json.cpp)
void append_repr(Runtime& runtime, TextBuilder& out, const Value& value);
void append_str(Runtime& runtime, TextBuilder& out, const Value& value);

struct JsonStyle {
    const Text* indent = nullptr;  // null: on one line
    const Text* item_separator;
    const Text* key_separator;
    bool ensure_ascii = false;
    bool sort_keys = false;
};

void append_json(Runtime& runtime, TextBuilder& out, const Value& value, const JsonStyle& style);

// Python's repr of a float: the shortest digits that read back, as 1.0, 1e+16, inf or nan.
std::string float_repr(double value);

// ---- pieces of several builtins
enum class Side { kLeft, kRight, kBoth };
// chars: a string of code points to strip, or none/undefined for whitespace.
const Text* strip(Runtime& runtime, const Text& text, const Value& chars, Side side);
const Text* replace(Runtime& runtime, const Text& text, const Text& from, const Text& to, int64_t max_count);
const Text* join(Runtime& runtime, const Text& separator, std::span<const Value> items, bool must_be_strings);
const Text* pad(Runtime& runtime, const Text& text, int64_t width, const Text& fill, Side side);
List* split_lines(Runtime& runtime, const Text& text, bool keeps_ends);
const Text* to_upper(Runtime& runtime, const Text& text);
const Text* to_lower(Runtime& runtime, const Text& text);
const Text* capitalize(Runtime& runtime, const Text& text);
const Text* format_percent(Runtime& runtime, const Text& format, const Value& values);
const Text* format_braces(Runtime& runtime, const Text& format, const Args& args);

// ---- arithmetic (template_operators.cpp); op is an Op of the tree
Value add(Runtime& runtime, const Value& a, const Value& b);

// Sorts by `keys` (items[i] goes with keys[i]), keeping the order of equal ones.
void sort_by(Runtime& runtime, std::span<Value> items, std::span<Value> keys, bool is_reversed);

// Lower-cases strings, which is how filters compare without case.
Value ignore_case(Runtime& runtime, const Value& value);

}  // namespace ponder::jinja
