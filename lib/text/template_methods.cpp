// SPDX-License-Identifier: Apache-2.0
// Methods of strings, lists, dicts and loops.
#include <algorithm>
#include <utility>

#include "text/template_text.hpp"

namespace ponder::jinja {

// ---- letter case of whole strings

const Text* to_upper(Runtime& runtime, const Text& text) {
    return map_code_points(runtime, text, [](CodePoint c, std::string_view original, size_t) { return to_upper(c, original); });
}

const Text* to_lower(Runtime& runtime, const Text& text) {
    bool follows_cased = false;
    return map_code_points(runtime, text, [&](CodePoint c, std::string_view original, size_t at) {
        if (c.value == 0x3a3 && follows_cased) {  // a capital sigma at the end of a word becomes the final form
            size_t next = at + c.size;
            CodePoint following;
            for (; next < text.bytes.size(); next += following.size) {
                following = decode_utf8(text.bytes, next);
                if (!is_case_ignorable(following.value) || !runtime.step()) break;
            }
            if (next >= text.bytes.size() || !is_cased(following.value)) return MappedCase(uint32_t{0x3c2});
        }
        if (!is_case_ignorable(c.value)) follows_cased = is_cased(c.value);
        return to_lower(c, original);
    });
}

const Text* capitalize(Runtime& runtime, const Text& text) {
    if (text.bytes.empty()) return &text;
    const size_t first = decode_utf8(text.bytes, 0).size;
    const Text* head = map_code_points(runtime, *cut(runtime, text, 0, first),
                                       [](CodePoint c, std::string_view original, size_t) { return to_title(c, original); });
    return concat(runtime, *head, *to_lower(runtime, *cut(runtime, text, first, text.bytes.size())));
}

namespace {

const Text& text_of(const Value& self) { return *self.text; }

const Text* read_text(Runtime& runtime, const char* what, const Value& value) {
    if (value.is_string()) return value.text;
    runtime.fail("%s needs a string, not '%s'", what, type_name(value));
    return runtime.share_text({});
}

// Bools count as integers, as in Python.
int64_t read_integer(Runtime& runtime, const char* what, const Value& value) {
    if (value.is_integer()) return value.as_integer();
    return runtime.fail("%s needs an integer, not '%s'", what, type_name(value)), 0;
}

// ---- strings

template <Side side>
Value str_strip(Runtime& runtime, const Value& self, const Args& args) {
    Value chars = Value::none();
    if (!read_args(runtime, "strip", args, {"chars"}, 0, &chars)) return {};
    return Value::of(strip(runtime, text_of(self), chars, side));
}

template <const Text* (*function)(Runtime&, const Text&)>
Value str_map(Runtime& runtime, const Value& self, const Args& args) {
    if (!read_args(runtime, "string method", args, {}, 0, nullptr)) return {};
    return Value::of(function(runtime, text_of(self)));
}

// Words are runs of letters with case, so str.title capitalizes behind an apostrophe.
const Text* title(Runtime& runtime, const Text& text) {
    bool follows_cased = false;
    return map_code_points(runtime, text, [&](CodePoint c, std::string_view original, size_t) {
        const bool is_inside = std::exchange(follows_cased, is_cased(c.value));
        return is_inside ? to_lower(c, original) : to_title(c, original);
    });
}

const Text* swap_case(Runtime& runtime, const Text& text) {
    return map_code_points(runtime, text, [](CodePoint c, std::string_view original, size_t) {
        return is_upper(c.value) ? to_lower(c, original) : to_upper(c, original);
    });
}

// Runs of whitespace separate; from the right if `from_right`.
void split_space(Runtime& runtime, const Text& text, int64_t max_splits, bool from_right, List& out) {
    const Value none = Value::none();
    const Text* rest = strip(runtime, text, none, from_right ? Side::kRight : Side::kLeft);
    while (runtime.step() && !rest->bytes.empty()) {
        const std::string_view bytes = rest->bytes;
        if (max_splits >= 0 && static_cast<int64_t>(out.items.size) >= max_splits) {
            runtime.push(out.items, Value::of(strip(runtime, *rest, none, from_right ? Side::kRight : Side::kLeft)));
            return;
        }
        size_t begin = 0, end = 0;
        if (from_right) {
            end = bytes.size();
            for (begin = end; begin > 0; --begin) {
                const bool is_start = (static_cast<unsigned char>(bytes[begin - 1]) & 0xc0) != 0x80;
                if (is_start && is_space(decode_utf8(bytes, begin - 1).value)) break;
            }
        } else {
            while (end < bytes.size() && !is_space(decode_utf8(bytes, end).value)) end += decode_utf8(bytes, end).size;
        }
        // A space of several bytes ends after its continuation bytes.
        while (from_right && begin > 0 && begin < end && (static_cast<unsigned char>(bytes[begin]) & 0xc0) == 0x80) ++begin;
        runtime.step_bytes(end - begin);
        runtime.push(out.items, cut_value(runtime, *rest, begin, end));
        const Text* remaining = from_right ? cut(runtime, *rest, 0, begin) : cut(runtime, *rest, end, bytes.size());
        rest = strip(runtime, *remaining, none, from_right ? Side::kRight : Side::kLeft);
    }
}

void split_text(Runtime& runtime, const Text& text, std::string_view separator, int64_t max_splits, List& out) {
    size_t at = 0;
    while (runtime.step() && (max_splits < 0 || static_cast<int64_t>(out.items.size) < max_splits)) {
        const size_t found = find_text(runtime, text.bytes, separator, at);
        if (found == std::string_view::npos) break;
        runtime.push(out.items, cut_value(runtime, text, at, found));
        at = found + separator.size();
    }
    if (runtime.ok()) runtime.push(out.items, cut_value(runtime, text, at, text.bytes.size()));
}

// Pieces come last first; the caller turns them around.
void split_text_from_right(Runtime& runtime, const Text& text, std::string_view separator, int64_t max_splits, List& out) {
    size_t end = text.bytes.size();
    while (runtime.step() && (max_splits < 0 || static_cast<int64_t>(out.items.size) < max_splits)) {
        const size_t found = find_last(runtime, text.bytes.substr(0, end), separator);
        if (found == std::string_view::npos) break;
        runtime.push(out.items, cut_value(runtime, text, found + separator.size(), end));
        end = found;
    }
    if (runtime.ok()) runtime.push(out.items, cut_value(runtime, text, 0, end));
}

template <bool from_right>
Value str_split(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {Value::none(), Value::of(int64_t{-1})};
    if (!read_args(runtime, "split", args, {"sep", "maxsplit"}, 0, arguments)) return {};
    const int64_t max_splits = read_integer(runtime, "split", arguments[1]);
    List* out = runtime.make_list();
    if (arguments[0].is_none()) {
        split_space(runtime, text_of(self), max_splits, from_right, *out);
    } else {
        const std::string_view separator = read_text(runtime, "split", arguments[0])->bytes;
        if (separator.empty()) return runtime.fail("split by an empty separator");
        const auto split = from_right ? split_text_from_right : split_text;
        split(runtime, text_of(self), separator, max_splits, *out);
    }
    if (from_right) std::reverse(out->items.begin(), out->items.end());
    return Value::of(out);
}

Value str_splitlines(Runtime& runtime, const Value& self, const Args& args) {
    Value keeps_ends = Value::of(false);
    if (!read_args(runtime, "splitlines", args, {"keepends"}, 0, &keeps_ends)) return {};
    return Value::of(split_lines(runtime, text_of(self), runtime.is_true(keeps_ends)));
}

// The part of a string that the start and end arguments of startswith, find and count leave, and the code points before it.
Text window(Runtime& runtime, const Value& self, const Value& start, const Value& stop, int64_t& n_before) {
    n_before = 0;
    if (start.is_none() && stop.is_none()) return text_of(self);
    const Value part = runtime.slice(self, start, stop, Value::none());
    if (!runtime.ok()) return {};
    n_before = start.is_none() ? 0 : start.as_integer();
    const int64_t n = runtime.length(self);
    if (n_before < 0) n_before = std::max<int64_t>(0, n_before + n);
    return *part.text;
}

template <bool at_end>
Value str_starts(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {{}, Value::none(), Value::none()};
    if (!read_args(runtime, at_end ? "endswith" : "startswith", args, {"prefix", "start", "end"}, 1, arguments)) return {};
    int64_t n_before = 0;
    const Text text = window(runtime, self, arguments[1], arguments[2], n_before);
    const auto matches = [&](const Value& part) {
        const std::string_view affix = read_text(runtime, at_end ? "endswith" : "startswith", part)->bytes;
        runtime.step_bytes(affix.size());
        return at_end ? text.bytes.ends_with(affix) : text.bytes.starts_with(affix);
    };
    if (!arguments[0].is_list()) return Value::of(matches(arguments[0]));
    const auto parts = arguments[0].list->items.span();
    return Value::of(std::any_of(parts.begin(), parts.end(), matches));
}

template <bool is_last, bool must_exist>
Value str_find(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {{}, Value::none(), Value::none()};
    if (!read_args(runtime, "find", args, {"sub", "start", "end"}, 1, arguments)) return {};
    int64_t n_before = 0;
    const Text text = window(runtime, self, arguments[1], arguments[2], n_before);
    const std::string_view needle = read_text(runtime, "find", arguments[0])->bytes;
    if (!runtime.ok()) return {};
    const size_t found = is_last ? find_last(runtime, text.bytes, needle) : find_text(runtime, text.bytes, needle);
    if (found == std::string_view::npos) return must_exist ? runtime.fail("substring not found") : Value::of(int64_t{-1});
    return Value::of(n_before + static_cast<int64_t>(count_code_points(text.bytes.substr(0, found))));
}

Value str_count(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {{}, Value::none(), Value::none()};
    if (!read_args(runtime, "count", args, {"sub", "start", "end"}, 1, arguments)) return {};
    int64_t n_before = 0;
    const Text text = window(runtime, self, arguments[1], arguments[2], n_before);
    const std::string_view needle = read_text(runtime, "count", arguments[0])->bytes;
    if (needle.empty()) return Value::of(static_cast<int64_t>(count_code_points(text.bytes)) + 1);
    int64_t count = 0;
    for (size_t at = 0; runtime.step(); ++count) {
        const size_t found = find_text(runtime, text.bytes, needle, at);
        if (found == std::string_view::npos) break;
        at = found + needle.size();
    }
    return Value::of(count);
}

Value str_replace(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {{}, {}, Value::of(int64_t{-1})};
    if (!read_args(runtime, "replace", args, {"old", "new", "count"}, 2, arguments)) return {};
    const Text* from = read_text(runtime, "replace", arguments[0]);
    const Text* to = read_text(runtime, "replace", arguments[1]);
    return Value::of(replace(runtime, text_of(self), *from, *to, read_integer(runtime, "replace", arguments[2])));
}

Value str_join(Runtime& runtime, const Value& self, const Args& args) {
    Value items;
    if (!read_args(runtime, "join", args, {"iterable"}, 1, &items)) return {};
    return Value::of(join(runtime, text_of(self), runtime.iterate(items)->items.span(), true));
}

Value str_format(Runtime& runtime, const Value& self, const Args& args) { return Value::of(format_braces(runtime, text_of(self), args)); }

template <bool at_end>
Value str_remove(Runtime& runtime, const Value& self, const Args& args) {
    Value affix;
    if (!read_args(runtime, "removeprefix", args, {"affix"}, 1, &affix)) return {};
    const Text& text = text_of(self);
    const std::string_view part = read_text(runtime, "removeprefix", affix)->bytes;
    const size_t n = text.bytes.size();
    if (part.empty() || !(at_end ? text.bytes.ends_with(part) : text.bytes.starts_with(part))) return self;
    return at_end ? cut_value(runtime, text, 0, n - part.size()) : cut_value(runtime, text, part.size(), n);
}

template <Side side>
Value str_pad(Runtime& runtime, const Value& self, const Args& args) {
    const Text space{" ", {}};
    Value arguments[2] = {{}, Value::of(&space)};
    if (!read_args(runtime, "padding", args, {"width", "fillchar"}, 1, arguments)) return {};
    const Text* fill = read_text(runtime, "padding", arguments[1]);
    if (runtime.length(arguments[1]) != 1) return runtime.fail("the fill must be one character");
    return Value::of(pad(runtime, text_of(self), read_integer(runtime, "padding", arguments[0]), *fill, side));
}

// Zeros go behind a sign.
Value str_zfill(Runtime& runtime, const Value& self, const Args& args) {
    Value width;
    if (!read_args(runtime, "zfill", args, {"width"}, 1, &width)) return {};
    const Text zero{"0", {}};
    const Text& text = text_of(self);
    const size_t n_sign = !text.bytes.empty() && (text.bytes[0] == '-' || text.bytes[0] == '+') ? 1 : 0;
    const Text* digits = cut(runtime, text, n_sign, text.bytes.size());
    const int64_t n_wanted = std::max<int64_t>(0, read_integer(runtime, "zfill", width)) - static_cast<int64_t>(n_sign);
    const Text* padded = pad(runtime, *digits, n_wanted, zero, Side::kLeft);
    return Value::of(n_sign ? concat(runtime, *cut(runtime, text, 0, 1), *padded) : padded);
}

template <bool is_last>
Value str_partition(Runtime& runtime, const Value& self, const Args& args) {
    Value separator;
    if (!read_args(runtime, "partition", args, {"sep"}, 1, &separator)) return {};
    const Text& text = text_of(self);
    const std::string_view needle = read_text(runtime, "partition", separator)->bytes;
    if (needle.empty()) return runtime.fail("partition by an empty separator");
    const size_t found = is_last ? find_last(runtime, text.bytes, needle) : find_text(runtime, text.bytes, needle);
    const bool is_found = found != std::string_view::npos;
    const size_t n = text.bytes.size();
    const size_t begin = is_found ? found : is_last ? 0 : n;
    const size_t end = is_found ? found + needle.size() : begin;
    List* out = runtime.make_list(ListType::kTuple);
    runtime.push(out->items, cut_value(runtime, text, 0, begin));
    runtime.push(out->items, cut_value(runtime, text, begin, end));
    runtime.push(out->items, cut_value(runtime, text, end, n));
    return Value::of(out);
}

template <bool (*predicate)(uint32_t)>
Value str_all(Runtime& runtime, const Value& self, const Args&) {
    const std::string_view bytes = text_of(self).bytes;
    bool result = !bytes.empty() && runtime.step_characters(bytes.size());
    for (size_t at = 0; result && at < bytes.size(); at += decode_utf8(bytes, at).size) result = predicate(decode_utf8(bytes, at).value);
    return Value::of(result);
}

bool is_alphanumeric(uint32_t c) { return is_alpha(c) || is_digit(c) || is_numeric(c); }

bool is_ascii(uint32_t c) { return c < 0x80; }

// At least one letter with case, and none of the other one.
template <bool wants_upper>
Value str_has_case(Runtime& runtime, const Value& self, const Args&) {
    const std::string_view bytes = text_of(self).bytes;
    bool has_cased = false;
    runtime.step_characters(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += decode_utf8(bytes, at).size) {
        const uint32_t c = decode_utf8(bytes, at).value;
        if (wants_upper ? is_lower(c) || is_title(c) : is_upper(c) || is_title(c)) return Value::of(false);
        has_cased = has_cased || is_cased(c);
    }
    return Value::of(has_cased);
}

Value str_is_title(Runtime& runtime, const Value& self, const Args&) {
    const std::string_view bytes = text_of(self).bytes;
    bool has_cased = false, follows_cased = false;
    runtime.step_characters(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += decode_utf8(bytes, at).size) {
        const uint32_t c = decode_utf8(bytes, at).value;
        const bool starts_word = is_upper(c) || is_title(c);
        if ((starts_word && follows_cased) || (is_lower(c) && !follows_cased)) return Value::of(false);
        follows_cased = is_cased(c);
        has_cased = has_cased || follows_cased;
    }
    return Value::of(has_cased);
}

constexpr BuiltinRow kStringMethods[] = {
    {"capitalize", str_map<capitalize>},
    {"casefold", str_map<to_lower>},
    {"center", str_pad<Side::kBoth>},
    {"count", str_count},
    {"endswith", str_starts<true>},
    {"find", str_find<false, false>},
    {"format", str_format},
    {"index", str_find<false, true>},
    {"isalnum", str_all<is_alphanumeric>},
    {"isalpha", str_all<is_alpha>},
    {"isascii", str_all<is_ascii>},
    {"isdecimal", str_all<is_decimal>},
    {"isdigit", str_all<is_digit>},
    {"islower", str_has_case<false>},
    {"isnumeric", str_all<is_numeric>},
    {"isspace", str_all<is_space>},
    {"istitle", str_is_title},
    {"isupper", str_has_case<true>},
    {"join", str_join},
    {"ljust", str_pad<Side::kRight>},
    {"lower", str_map<to_lower>},
    {"lstrip", str_strip<Side::kLeft>},
    {"partition", str_partition<false>},
    {"removeprefix", str_remove<false>},
    {"removesuffix", str_remove<true>},
    {"replace", str_replace},
    {"rfind", str_find<true, false>},
    {"rindex", str_find<true, true>},
    {"rjust", str_pad<Side::kLeft>},
    {"rpartition", str_partition<true>},
    {"rsplit", str_split<true>},
    {"rstrip", str_strip<Side::kRight>},
    {"split", str_split<false>},
    {"splitlines", str_splitlines},
    {"startswith", str_starts<false>},
    {"strip", str_strip<Side::kBoth>},
    {"swapcase", str_map<swap_case>},
    {"title", str_map<title>},
    {"upper", str_map<to_upper>},
    {"zfill", str_zfill},
};

}  // namespace

Builtin find_string_method(std::string_view name) { return find_row(kStringMethods, name); }

}  // namespace ponder::jinja
