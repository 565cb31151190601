// SPDX-License-Identifier: Apache-2.0
// Filters that make strings and numbers.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

int64_t read_integer(Runtime& runtime, const char* what, const Value& value) {
    if (value.is_integer()) return value.as_integer();
    return runtime.fail("%s needs an integer, not '%s'", what, type_name(value)), 0;
}

template <const Text* (*function)(Runtime&, const Text&)>
Value filter_map_text(Runtime& runtime, const Value& self, const Args& args) {
    if (!read_args(runtime, "filter", args, {}, 0, nullptr)) return {};
    return Value::of(function(runtime, *runtime.to_text(self)));
}

const Text* same(Runtime&, const Text& text) { return &text; }

// Capitals at word beginnings, where words end at spaces, hyphens and opening brackets (not at apostrophes, as str.title would).
const Text* title(Runtime& runtime, const Text& text) {
    bool is_inside = false;
    return map_code_points(runtime, text, [&](CodePoint c, std::string_view original, size_t) {
        const bool is_separator =
            is_space(c.value) || c.value == '-' || c.value == '(' || c.value == '{' || c.value == '[' || c.value == '<';
        const bool was_inside = std::exchange(is_inside, !is_separator);
        return was_inside ? to_lower(c, original) : to_upper(c, original);
    });
}

// Jinja2 marks the result as safe and would escape what is added to it; chat templates run without autoescape, so a plain text it is.
const Text* escape(Runtime& runtime, const Text& text) {
    return map_code_points(runtime, text, [](CodePoint c, std::string_view original, size_t) {
        switch (c.value) {
            case '&':
                return MappedCase("&amp;");
            case '<':
                return MappedCase("&lt;");
            case '>':
                return MappedCase("&gt;");
            case '"':
                return MappedCase("&#34;");
            case '\'':
                return MappedCase("&#39;");
            default:
                return MappedCase(original);
        }
    });
}

// Byte by byte: each byte of a character outside ASCII becomes %XX of its own.
const Text* url_quote(Runtime& runtime, const Text& text, bool for_query) {
    constexpr char kHex[] = "0123456789ABCDEF";
    TextBuilder out(runtime, text.bytes.size());
    runtime.step(text.bytes.size() / 8);
    for (size_t at = 0; at < text.bytes.size() && runtime.ok(); ++at) {
        const auto byte = static_cast<unsigned char>(text.bytes[at]);
        const bool is_safe = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
                             byte == '.' || byte == '-' || byte == '~' || (byte == '/' && !for_query);
        const char escaped[3] = {'%', kHex[byte >> 4], kHex[byte & 15]};
        const bool is_marked = is_untrusted(text, at, at + 1);
        if (is_safe)
            out.append(text.bytes.substr(at, 1), is_marked);
        else
            out.append(byte == ' ' && for_query ? std::string_view("+") : std::string_view(escaped, 3), is_marked);
    }
    return out.finish();
}

Value filter_urlencode(Runtime& runtime, const Value& self, const Args&) {
    if (!self.is_dict() && !self.is_list()) return Value::of(url_quote(runtime, *runtime.to_text(self), false));
    const List* pairs = self.is_dict() ? find_method(self, "items")(runtime, self, Args{}).list : self.list;
    TextBuilder out(runtime);
    for (size_t i = 0; i < pairs->items.size && runtime.step(); ++i) {
        const List* pair = runtime.iterate(pairs->items[i]);
        if (pair->items.size != 2) return runtime.fail("urlencode needs pairs");
        if (i) out.append("&");
        out.append(*url_quote(runtime, *runtime.to_text(pair->items[0]), true));
        out.append("=");
        out.append(*url_quote(runtime, *runtime.to_text(pair->items[1]), true));
    }
    return Value::of(out.finish());
}

Value filter_trim(Runtime& runtime, const Value& self, const Args& args) {
    Value chars = Value::none();
    if (!read_args(runtime, "trim", args, {"chars"}, 0, &chars)) return {};
    return Value::of(strip(runtime, *runtime.to_text(self), chars, Side::kBoth));
}

// Unlike the method, the filter makes strings of whatever it is given.
Value filter_replace(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {{}, {}, Value::none()};
    if (!read_args(runtime, "replace", args, {"old", "new", "count"}, 2, arguments)) return {};
    const int64_t count = arguments[2].is_none() ? -1 : read_integer(runtime, "replace", arguments[2]);
    return Value::of(replace(runtime, *runtime.to_text(self), *runtime.to_text(arguments[0]), *runtime.to_text(arguments[1]), count));
}

Value filter_center(Runtime& runtime, const Value& self, const Args& args) {
    Value width = Value::of(int64_t{80});
    if (!read_args(runtime, "center", args, {"width"}, 0, &width)) return {};
    const Text space{" ", {}};
    return Value::of(pad(runtime, *runtime.to_text(self), read_integer(runtime, "center", width), space, Side::kBoth));
}

Value filter_format(Runtime& runtime, const Value& self, const Args& args) {
    const Text* format = runtime.to_text(self);
    if (args.named.empty()) {
        List* values = runtime.make_list(ListType::kTuple);
        for (const Value& value : args.positional) runtime.push(values->items, value);
        return Value::of(format_percent(runtime, *format, Value::of(values)));
    }
    if (!args.positional.empty()) return runtime.fail("format takes positional or named arguments, not both");
    Dict* values = runtime.make<Dict>();
    for (const NamedValue& named : args.named) runtime.set(*values, Value::of(runtime.share_text(named.name)), named.value);
    return Value::of(format_percent(runtime, *format, Value::of(values)));
}

Value filter_indent(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {Value::of(int64_t{4}), Value::of(false), Value::of(false)};
    if (!read_args(runtime, "indent", args, {"width", "first", "blank"}, 0, arguments)) return {};
    if (!self.is_string()) return runtime.fail("indent needs a string, not '%s'", type_name(self));
    const Text* margin = arguments[0].is_string() ? arguments[0].text : nullptr;
    if (!margin) {
        const Text space{" ", {}}, nothing{};
        margin = pad(runtime, nothing, read_integer(runtime, "indent", arguments[0]), space, Side::kLeft);
        margin = runtime.share_text(margin->bytes);
    }
    // Python adds a line end before it splits, so that a line end at the very end gives one more (empty) line.
    const Text line_end{"\n", {}};
    const List* lines = split_lines(runtime, *concat(runtime, *self.text, line_end), false);
    const bool indents_first = runtime.is_true(arguments[1]), indents_blank = runtime.is_true(arguments[2]);
    TextBuilder out(runtime, self.text->bytes.size());
    for (size_t i = 0; i < lines->items.size && runtime.step(); ++i) {
        const Text& line = *lines->items[i].text;
        if (i) out.append("\n");
        if (i == 0 ? indents_first : indents_blank || !line.bytes.empty()) out.append(*margin);
        out.append(line);
    }
    return Value::of(out.finish());
}

// Texts that are too long by no more than the leeway are left whole.
Value filter_truncate(Runtime& runtime, const Value& self, const Args& args) {
    const Text dots{"...", {}};
    Value arguments[4] = {Value::of(int64_t{255}), Value::of(false), Value::of(&dots), Value::of(int64_t{5})};
    if (!read_args(runtime, "truncate", args, {"length", "killwords", "end", "leeway"}, 0, arguments)) return {};
    if (!self.is_string() || !arguments[2].is_string()) return runtime.fail("truncate needs a string, not '%s'", type_name(self));
    const int64_t length = std::max<int64_t>(0, read_integer(runtime, "truncate", arguments[0]));
    const int64_t leeway = arguments[3].is_none() ? 5 : read_integer(runtime, "truncate", arguments[3]);
    const int64_t n_kept = length - runtime.length(arguments[2]);
    if (n_kept < 0 || leeway < 0) return runtime.fail("truncate to %lld characters, which is too few", static_cast<long long>(length));
    const int64_t n = runtime.length(self);
    if (n - leeway <= length) return self;
    const Text* kept = cut(runtime, *self.text, 0, byte_offset(self.text->bytes, static_cast<size_t>(n_kept)));
    const size_t space = runtime.is_true(arguments[1]) ? std::string_view::npos : kept->bytes.rfind(' ');
    if (space != std::string_view::npos) kept = cut(runtime, *kept, 0, space);
    TextBuilder out(runtime);
    out.append(*kept);
    out.append(*arguments[2].text);
    return Value::of(out.finish());
}

Value filter_wordcount(Runtime& runtime, const Value& self, const Args&) {
    const std::string_view bytes = runtime.to_text(self)->bytes;
    int64_t count = 0;
    bool was_word = false;
    runtime.step_characters(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += decode_utf8(bytes, at).size) {
        const bool is_in_word = is_word(decode_utf8(bytes, at).value);
        count += is_in_word && !was_word;
        was_word = is_in_word;
    }
    return Value::of(count);
}

// ---- numbers

// Spaces around and underscores inside do not count; the length is capped, since no number needs more.
std::string number_text(Runtime& runtime, const Value& value) {
    const Text* stripped = strip(runtime, *value.text, Value::none(), Side::kBoth);
    std::string digits;
    for (const char c : stripped->bytes.substr(0, 4'000)) {
        if (c != '_') digits.push_back(c);
    }
    if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.erase(0, 1);
    return digits;
}

// Numbers too large or too small for a double are infinite or zero in Python, not errors.
bool parse_float(const std::string& text, double& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range && end == text.data() + text.size()) {
        const bool is_tiny = text.find("e-") != std::string::npos || text.find("E-") != std::string::npos;
        value = is_tiny ? 0.0 : std::numeric_limits<double>::infinity();
        if (text[0] == '-') value = -value;
        return true;
    }
    return error == std::errc() && end == text.data() + text.size();
}

// int(text, base) takes the prefix that belongs to the base.
bool parse_integer(std::string text, int64_t base, int64_t& value) {
    const size_t n_sign = !text.empty() && text[0] == '-' ? 1 : 0;
    const char prefix = text.size() > n_sign + 1 && text[n_sign] == '0' ? static_cast<char>(text[n_sign + 1] | 0x20) : '\0';
    if ((base == 16 && prefix == 'x') || (base == 8 && prefix == 'o') || (base == 2 && prefix == 'b')) text.erase(n_sign, 2);
    if (base < 2 || base > 36) return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, static_cast<int>(base));
    return error == std::errc() && end == text.data() + text.size();
}

// '42.9' is 42 by way of a float, as in Jinja2; only what is no number at all gives the default.
Value filter_int(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {Value::of(int64_t{0}), Value::of(int64_t{10})};
    if (!read_args(runtime, "int", args, {"default", "base"}, 0, arguments)) return {};
    if (self.is_integer()) return Value::of(self.as_integer());
    if (self.is(Kind::kNatural)) return self;
    double number = 0;
    if (self.is_string()) {
        const std::string text = number_text(runtime, self);
        int64_t integer = 0;
        if (parse_integer(text, read_integer(runtime, "int", arguments[1]), integer)) return Value::of(integer);
        if (!parse_float(text, number)) return arguments[0];
    } else if (self.is(Kind::kFloat)) {
        number = self.real;
    } else {
        return self.is_undefined() ? runtime.get_attribute(self, "int") : arguments[0];
    }
    if (std::isnan(number) || std::isinf(number)) return arguments[0];
    if (std::fabs(number) >= 0x1p63) return runtime.fail_limit("bits for an integer", 64);
    return Value::of(static_cast<int64_t>(number));
}

Value filter_float(Runtime& runtime, const Value& self, const Args& args) {
    Value fallback = Value::of(0.0);
    if (!read_args(runtime, "float", args, {"default"}, 0, &fallback)) return {};
    if (self.is_number()) return Value::of(self.as_double());
    if (self.is_undefined()) return runtime.get_attribute(self, "float");
    double number = 0;
    return self.is_string() && parse_float(number_text(runtime, self), number) ? Value::of(number) : fallback;
}

Value filter_abs(Runtime& runtime, const Value& self, const Args&) {
    if (self.is(Kind::kFloat)) return Value::of(std::fabs(self.real));
    if (self.is_integer() && self.as_integer() != std::numeric_limits<int64_t>::min()) return Value::of(std::abs(self.as_integer()));
    return self.is_undefined() ? runtime.get_attribute(self, "abs") : runtime.fail("abs needs a number, not '%s'", type_name(self));
}

// Correct to the last digit, ties to even in the exact decimal value, as Python rounds floats.
double round_to(double value, int64_t precision) {
    if (!std::isfinite(value) || precision > 320) return value;
    if (precision < -320) return 0;
    if (precision < 0) {
        const double scale = std::pow(10.0, static_cast<double>(-precision));
        return std::nearbyint(value / scale) * scale;
    }
    char buffer[700];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, static_cast<int>(precision));
    double rounded = value;
    std::from_chars(buffer, end, rounded);
    return rounded;
}

// Integers stay integers for the common method; ceil and floor give floats.
Value filter_round(Runtime& runtime, const Value& self, const Args& args) {
    const Text common{"common", {}};
    Value arguments[2] = {Value::of(int64_t{0}), Value::of(&common)};
    if (!read_args(runtime, "round", args, {"precision", "method"}, 0, arguments)) return {};
    const std::string_view method = arguments[1].is_string() ? arguments[1].text->bytes : "";
    const int64_t precision = read_integer(runtime, "round", arguments[0]);
    if (!self.is_number())
        return self.is_undefined() ? runtime.get_attribute(self, "round") : runtime.fail("round needs a number, not '%s'", type_name(self));
    if (method == "common") {
        if (!self.is(Kind::kFloat) && precision >= 0) return self.is(Kind::kNatural) ? self : Value::of(self.as_integer());
        const double rounded = round_to(self.as_double(), precision);
        if (self.is(Kind::kFloat)) return Value::of(rounded);
        return std::fabs(rounded) < 0x1p63 ? Value::of(static_cast<int64_t>(rounded)) : runtime.fail_limit("bits for an integer", 64);
    }
    if (method != "ceil" && method != "floor") return runtime.fail("the method of round is common, ceil or floor");
    const double scale = std::pow(10.0, static_cast<double>(precision));
    const double scaled = self.as_double() * scale;
    return Value::of((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value filter_filesizeformat(Runtime& runtime, const Value& self, const Args& args) {
    Value binary = Value::of(false);
    if (!read_args(runtime, "filesizeformat", args, {"binary"}, 0, &binary)) return {};
    const bool is_binary = runtime.is_true(binary);
    const double base = is_binary ? 1024 : 1000;
    double size = filter_float(runtime, self, Args{}).as_double();
    if (size == 1) return runtime.make_string("1 Byte");
    if (!std::isfinite(size)) return runtime.fail("filesizeformat needs a finite number");
    char buffer[400];
    if (size < base) {
        const auto whole = std::to_chars(buffer, buffer + sizeof buffer, std::trunc(size), std::chars_format::fixed, 0);
        return runtime.make_string(std::string(buffer, whole.ptr) + " Bytes");
    }
    constexpr std::string_view kPrefixes = "kMGTPEZY";
    size_t power = 0;
    for (size /= base; size >= base && power + 1 < kPrefixes.size(); ++power) size /= base;
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, size, std::chars_format::fixed, 1);
    std::string text(buffer, end);
    text += ' ';
    text += is_binary && power == 0 ? 'K' : kPrefixes[power];
    return runtime.make_string(text + (is_binary ? "iB" : "B"));
}

// Hugging Face's tojson: json.dumps without HTML escaping and with non-ASCII letters as they are. An indent drops the space
// behind commas.
Value filter_tojson(Runtime& runtime, const Value& self, const Args& args) {
    const Text comma{",", {}}, comma_space{", ", {}}, colon_space{": ", {}};
    Value arguments[4] = {Value::none(), Value::of(false), Value::none(), Value::of(false)};
    if (!read_args(runtime, "tojson", args, {"indent", "ensure_ascii", "separators", "sort_keys"}, 0, arguments)) return {};
    const bool has_indent = !arguments[0].is_none();
    JsonStyle style{nullptr, has_indent ? &comma : &comma_space, &colon_space, runtime.is_true(arguments[1]),
                    runtime.is_true(arguments[3])};
    if (arguments[0].is_string()) {
        style.indent = arguments[0].text;
    } else if (has_indent) {
        const Text nothing{}, space{" ", {}};
        style.indent = pad(runtime, nothing, read_integer(runtime, "tojson", arguments[0]), space, Side::kLeft);
        style.indent = runtime.share_text(style.indent->bytes);
    }
    if (!arguments[2].is_none()) {
        const List* separators = runtime.iterate(arguments[2]);
        if (separators->items.size != 2 || !separators->items[0].is_string() || !separators->items[1].is_string()) {
            return runtime.fail("tojson: separators are two strings");
        }
        style.item_separator = separators->items[0].text;
        style.key_separator = separators->items[1].text;
    }
    TextBuilder out(runtime);
    if (runtime.ok()) append_json(runtime, out, self, style);
    return Value::of(out.finish());
}

Value filter_pprint(Runtime& runtime, const Value& self, const Args&) {
    TextBuilder out(runtime);
    append_repr(runtime, out, self);
    return Value::of(out.finish());
}

constexpr BuiltinRow kFilters[] = {
    {"trim", filter_trim},
    {"tojson", filter_tojson},
    {"string", filter_map_text<same>},
    {"upper", filter_map_text<to_upper>},
    {"lower", filter_map_text<to_lower>},
    {"title", filter_map_text<title>},
    {"capitalize", filter_map_text<capitalize>},
    {"safe", filter_map_text<same>},
    {"e", filter_map_text<escape>},
    {"escape", filter_map_text<escape>},
    {"forceescape", filter_map_text<escape>},
    {"replace", filter_replace},
    {"indent", filter_indent},
    {"format", filter_format},
    {"int", filter_int},
    {"float", filter_float},
    {"abs", filter_abs},
    {"round", filter_round},
    {"center", filter_center},
    {"truncate", filter_truncate},
    {"wordcount", filter_wordcount},
    {"urlencode", filter_urlencode},
    {"filesizeformat", filter_filesizeformat},
    {"pprint", filter_pprint},
};

}  // namespace

Builtin find_text_filter(std::string_view name) { return find_row(kFilters, name); }

}  // namespace ponder::jinja
