// SPDX-License-Identifier: Apache-2.0
// Marked strings: building, cutting, searching, stripping, joining.
#include "text/template_text.hpp"

#include <algorithm>
#include <cstring>

namespace ponder::jinja {
namespace {

// The marks of [begin, end), moved by -begin. All of them are shared if nothing is cut off.
std::span<const TextSpan> cut_marks(Runtime& runtime, const Text& text, size_t begin, size_t end) {
    if (text.marks.empty() || (begin == 0 && end == text.bytes.size())) return text.marks;
    const auto* first = std::partition_point(text.marks.data(), text.marks.data() + text.marks.size(),
                                             [&](const TextSpan& mark) { return mark.end <= begin; });
    ArenaArray<TextSpan> marks;
    for (const auto* mark = first; mark != text.marks.data() + text.marks.size() && mark->begin < end; ++mark) {
        if (!runtime.step()) break;
        runtime.push(marks, TextSpan{std::max(mark->begin, begin) - begin, std::min(mark->end, end) - begin});
    }
    return marks.span();
}

}  // namespace

// Growth doubles; finish() gives the unused tail back to the arena.
TextBuilder::TextBuilder(Runtime& runtime, size_t expected_bytes) : runtime_(runtime) {
    if (expected_bytes) runtime_.reserve(bytes_, expected_bytes);
}

void TextBuilder::append(std::string_view bytes, bool is_untrusted) {
    if (bytes.empty() || !runtime_.step(bytes.size() / 64)) return;
    const size_t end = bytes_.size + bytes.size();
    if (end > bytes_.capacity && !runtime_.reserve(bytes_, std::max({end, bytes_.capacity * 2, size_t{32}}))) return;
    std::memcpy(bytes_.data + bytes_.size, bytes.data(), bytes.size());
    if (is_untrusted) {
        add_mark(
            bytes_.size, end, [&] { return marks_.size ? &marks_[marks_.size - 1] : nullptr; },
            [&](const TextSpan& mark) { runtime_.push(marks_, mark); });
    }
    bytes_.size = end;
}

void TextBuilder::append(const Text& text) { append(text, 0, text.bytes.size()); }

void TextBuilder::append(const Text& text, size_t begin, size_t end) {
    const size_t base = bytes_.size;
    append(text.bytes.substr(begin, end - begin));
    if (bytes_.size - base != end - begin) return;
    for (const TextSpan& mark : cut_marks(runtime_, text, begin, end)) {
        add_mark(
            base + mark.begin, base + mark.end, [&] { return marks_.size ? &marks_[marks_.size - 1] : nullptr; },
            [&](const TextSpan& m) { runtime_.push(marks_, m); });
    }
}

void TextBuilder::append_repeated(std::string_view bytes, int64_t count) {
    for (int64_t i = 0; i < count && runtime_.step(); ++i) append(bytes);
}

const Text* TextBuilder::finish() {
    runtime_.shrink_bytes(bytes_.data, bytes_.capacity, bytes_.size);
    return runtime_.ok() ? runtime_.share_text({bytes_.data, bytes_.size}, marks_.span()) : runtime_.share_text({});
}

const Text* cut(Runtime& runtime, const Text& text, size_t begin, size_t end) {
    return runtime.share_text(text.bytes.substr(begin, end - begin), cut_marks(runtime, text, begin, end));
}

// The left side grows in place if it was the latest to be made, so that a text built up piece by piece is not copied each time.
const Text* concat(Runtime& runtime, const Text& a, const Text& b) {
    if (b.bytes.empty()) return &a;
    if (a.bytes.empty()) return &b;
    const size_t total = a.bytes.size() + b.bytes.size();
    char* data = const_cast<char*>(a.bytes.data());
    if (!runtime.step_bytes(b.bytes.size())) return &a;
    if (!runtime.extend_bytes(data, a.bytes.size(), total)) {
        const size_t room = a.bytes.size() > 4096 ? total + total / 2 : total;
        data = runtime.step_bytes(a.bytes.size()) ? runtime.make_bytes(room) : nullptr;
        if (!data) return &a;
        std::memcpy(data, a.bytes.data(), a.bytes.size());
        runtime.shrink_bytes(data, room, total);
    }
    std::memcpy(data + a.bytes.size(), b.bytes.data(), b.bytes.size());
    if (a.marks.empty() && b.marks.empty()) return runtime.share_text({data, total});
    ArenaArray<TextSpan> marks;
    if (!runtime.reserve(marks, a.marks.size() + b.marks.size()) || !runtime.step((a.marks.size() + b.marks.size()) / 16)) return &a;
    std::copy(a.marks.begin(), a.marks.end(), marks.data);
    marks.size = a.marks.size();
    for (const TextSpan& mark : b.marks) {
        add_mark(
            a.bytes.size() + mark.begin, a.bytes.size() + mark.end, [&] { return marks.size ? &marks[marks.size - 1] : nullptr; },
            [&](const TextSpan& m) { runtime.push(marks, m); });
    }
    return runtime.share_text({data, total}, marks.span());
}

bool is_untrusted(const Text& text, size_t begin, size_t end) {
    if (text.marks.empty()) return false;
    const auto* stop = text.marks.data() + text.marks.size();
    const auto* mark = std::partition_point(text.marks.data(), stop, [&](const TextSpan& m) { return m.end <= begin; });
    return mark != stop && mark->begin < end;
}

// Short needles by the library's search; long ones by Knuth, Morris and Pratt's, whose time does not multiply. The library compares at
// each place where the first byte fits, which in "aaa..." is everywhere: some 10 ns a byte.
constexpr size_t kShortBytes = 32, kComparedBytesPerStep = 16;

size_t find_text(Runtime& runtime, std::string_view text, std::string_view needle, size_t from) {
    constexpr size_t kNone = std::string_view::npos;
    if (from > text.size() || needle.size() > text.size() - from) return kNone;
    if (needle.size() <= kShortBytes) {
        const size_t found = text.find(needle, from);
        const size_t n_read = (found == kNone ? text.size() : found) - from;
        return runtime.step(n_read / kComparedBytesPerStep + 1) ? found : kNone;
    }
    ArenaArray<size_t> borders;
    if (!runtime.reserve(borders, needle.size()) || !runtime.step_bytes(needle.size() + text.size() - from)) return kNone;
    borders.data[0] = 0;
    for (size_t i = 1, k = 0; i < needle.size(); ++i) {
        while (k > 0 && needle[i] != needle[k]) k = borders.data[k - 1];
        if (needle[i] == needle[k]) ++k;
        borders.data[i] = k;
    }
    for (size_t i = from, k = 0; i < text.size(); ++i) {
        while (k > 0 && text[i] != needle[k]) k = borders.data[k - 1];
        if (text[i] == needle[k]) ++k;
        if (k == needle.size()) return i + 1 - k;
    }
    return kNone;
}

// Long needles are found from the left, where the linear search is; the last hit counts.
size_t find_last(Runtime& runtime, std::string_view text, std::string_view needle) {
    if (needle.empty()) return text.size();
    size_t last = std::string_view::npos;
    if (needle.size() <= kShortBytes) {
        last = text.rfind(needle);
        const size_t n_read = last == std::string_view::npos ? text.size() : text.size() - last;
        return runtime.step(n_read / kComparedBytesPerStep + 1) ? last : std::string_view::npos;
    }
    for (size_t at = find_text(runtime, text, needle); at != std::string_view::npos; at = find_text(runtime, text, needle, at + 1))
        last = at;
    return runtime.ok() ? last : std::string_view::npos;
}

size_t byte_offset(std::string_view text, size_t index) {
    size_t at = 0;
    for (; index > 0 && at < text.size(); --index) at += decode_utf8(text, at).size;
    return at;
}

// The characters to strip are compared as bytes of whole code points.
const Text* strip(Runtime& runtime, const Text& text, const Value& chars, Side side) {
    const std::string_view bytes = text.bytes;
    const bool is_space_only = chars.is_none() || chars.is_undefined();
    if (!is_space_only && !chars.is_string())
        return runtime.fail("strip argument must be a string or none, not '%s'", type_name(chars)), &text;
    const auto matches = [&](size_t at, const CodePoint& c) {
        if (is_space_only) return is_space(c.value);
        const std::string_view set = chars.text->bytes;
        runtime.step_characters(set.size());
        for (size_t i = 0; i < set.size() && runtime.ok(); i += decode_utf8(set, i).size) {
            if (set.substr(i, decode_utf8(set, i).size) == bytes.substr(at, c.size)) return true;
        }
        return false;
    };
    size_t begin = 0, end = bytes.size();
    while (side != Side::kRight && begin < end && runtime.step()) {
        const CodePoint c = decode_utf8(bytes, begin);
        if (!matches(begin, c)) break;
        begin += c.size;
    }
    while (side != Side::kLeft && begin < end && runtime.step()) {
        size_t start = end - 1;  // of the last code point: the longest valid one that ends here
        for (size_t size = 2; size <= 4 && size <= end - begin; ++size) {
            if (decode_utf8(bytes.substr(0, end), end - size).size == size) start = end - size;
        }
        if (!matches(start, decode_utf8(bytes, start))) break;
        end = start;
    }
    return cut(runtime, text, begin, end);
}

// What is put in keeps its own marks: replacing a user's text by the template's makes those bytes trusted, and the reverse.
const Text* replace(Runtime& runtime, const Text& text, const Text& from, const Text& to, int64_t max_count) {
    if (max_count == 0) return &text;
    TextBuilder out(runtime, text.bytes.size());
    size_t at = 0;
    for (int64_t n = 0; n != max_count && runtime.step(); ++n) {
        if (from.bytes.empty()) {  // before each code point, and at the end
            out.append(to);
            if (at >= text.bytes.size()) break;
            const size_t next = at + decode_utf8(text.bytes, at).size;
            out.append(text, at, next);
            at = next;
            continue;
        }
        const size_t found = find_text(runtime, text.bytes, from.bytes, at);
        if (found == std::string_view::npos) break;
        out.append(text, at, found);
        out.append(to);
        at = found + from.bytes.size();
    }
    if (at < text.bytes.size()) out.append(text, at, text.bytes.size());
    return out.finish();
}

const Text* join(Runtime& runtime, const Text& separator, std::span<const Value> items, bool must_be_strings) {
    TextBuilder out(runtime);
    for (size_t i = 0; i < items.size() && runtime.step(); ++i) {
        if (must_be_strings && !items[i].is_string()) runtime.fail("join: item %zu is '%s', not a string", i, type_name(items[i]));
        if (i) out.append(separator);
        out.append(*runtime.to_text(items[i]));
    }
    return out.finish();
}

const Text* pad(Runtime& runtime, const Text& text, int64_t width, const Text& fill, Side side) {
    if (width <= 0) return &text;
    const int64_t n_missing = width - runtime.length(Value::of(&text));
    if (n_missing <= 0 || !runtime.ok()) return &text;
    // Python's center puts the odd one on the left only for odd widths.
    const int64_t n_left = side == Side::kLeft ? n_missing : side == Side::kRight ? 0 : n_missing / 2 + (n_missing & width & 1);
    TextBuilder out(runtime);
    for (int64_t i = 0; i < n_left && runtime.step(); ++i) out.append(fill);
    out.append(text);
    for (int64_t i = n_left; i < n_missing && runtime.step(); ++i) out.append(fill);
    return out.finish();
}

// Python's line boundaries, which include form feeds and Unicode's separators.
List* split_lines(Runtime& runtime, const Text& text, bool keeps_ends) {
    const std::string_view bytes = text.bytes;
    List* lines = runtime.make_list();
    size_t begin = 0;
    for (size_t at = 0; at < bytes.size() && runtime.ok();) {
        const CodePoint c = decode_utf8(bytes, at);
        const bool is_break = (c.value >= 10 && c.value <= 13) || (c.value >= 0x1c && c.value <= 0x1e) || c.value == 0x85 ||
                              c.value == 0x2028 || c.value == 0x2029;
        const size_t end = at + c.size + (bytes.substr(at, 2) == "\r\n" ? 1 : 0);
        if (is_break) {
            runtime.push(lines->items, cut_value(runtime, text, begin, keeps_ends ? end : at));
            begin = end;
        }
        at = is_break ? end : at + c.size;
    }
    runtime.step_characters(bytes.size());
    if (begin < bytes.size()) runtime.push(lines->items, cut_value(runtime, text, begin, bytes.size()));
    return lines;
}

}  // namespace ponder::jinja
