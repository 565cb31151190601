// SPDX-License-Identifier: Apache-2.0
// Python's two string formatters: "%s" % value and "{}".format(value).
#include <charconv>
#include <cmath>
#include <string>

#include "text/template_text.hpp"

#include "base/utf8.hpp"

namespace ponder::jinja {
namespace {

constexpr int64_t kMaxPrecision = 350;

struct Spec {
    std::string fill = " ";  // one code point
    char align = '\0';       // '<', '>', '^', '=' or the type's own
    char sign = '-';         // what positive numbers get: '-' nothing, '+' or ' '
    bool is_alternate = false;
    char grouping = '\0';  // ',' or '_' between groups of three digits
    int64_t width = 0;
    int64_t precision = -1;
    char type = '\0';
};

// Saturates: a width beyond 2^31 meets the memory limit anyway.
int64_t read_number(std::string_view text, size_t& at) {
    int64_t value = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
        value = std::min<int64_t>(value * 10 + (text[at] - '0'), INT32_MAX);
    return value;
}

std::string upper_ascii(std::string text) {
    for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return text;
}

std::string unsigned_digits(uint64_t value, const Spec& spec) {
    const int base = spec.type == 'x' || spec.type == 'X' ? 16 : spec.type == 'o' ? 8 : spec.type == 'b' ? 2 : 10;
    char buffer[65];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, base);
    std::string digits(buffer, end);
    return spec.type == 'X' ? upper_ascii(std::move(digits)) : digits;
}

// std::to_chars and not printf, whose decimal point follows the host's locale.
std::string unsigned_float(double value, const Spec& spec) {
    if (!std::isfinite(value)) return std::isnan(value) ? "nan" : "inf";
    const char type = static_cast<char>(spec.type | 0x20);
    const auto precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
    if (spec.type == '\0' && spec.precision < 0) return float_repr(value);
    char buffer[800];
    const auto style = type == 'e'                  ? std::chars_format::scientific
                       : type == 'f' || type == '%' ? std::chars_format::fixed
                                                    : std::chars_format::general;
    const bool is_general = style == std::chars_format::general;
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, type == '%' ? value * 100 : value, style,
                                            is_general && precision == 0 ? 1 : precision);
    std::string text(buffer, end);
    if (spec.type == '\0' && text.find_first_of(".e") == std::string::npos) text += ".0";
    if (type == '%') text += "%";
    return spec.type >= 'A' && spec.type <= 'Z' ? upper_ascii(std::move(text)) : text;
}

void add_grouping(std::string& digits, char separator) {
    const size_t n_whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
    for (size_t at = n_whole; at > 3;) digits.insert(at -= 3, 1, separator);
}

// Sign, prefix and digits of a number; false if the type does not take this value.
bool format_number(Runtime& runtime, const Value& value, const Spec& spec, std::string& prefix, std::string& digits) {
    if (spec.precision > kMaxPrecision) return runtime.fail_limit("digits of precision", kMaxPrecision), false;
    const std::string_view float_types = "eEfFgG%";
    const bool as_float = value.is(Kind::kFloat) || float_types.find(spec.type) != std::string_view::npos;
    bool is_negative = false;
    if (as_float && spec.type != 'd' && spec.type != 'x' && spec.type != 'X' && spec.type != 'o' && spec.type != 'b' && spec.type != 'c') {
        const double number = value.as_double();
        is_negative = std::signbit(number) && !std::isnan(number);
        digits = unsigned_float(std::fabs(number), spec);
    } else if (value.is(Kind::kFloat)) {
        return runtime.fail("format type '%c' does not take a float", spec.type), false;
    } else if (value.is(Kind::kNatural)) {
        digits = unsigned_digits(value.natural, spec);
    } else {
        const int64_t number = value.as_integer();
        is_negative = number < 0;
        digits = unsigned_digits(is_negative ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number), spec);
        const std::string_view prefixed = "xXob";
        if (spec.is_alternate && prefixed.find(spec.type) != std::string_view::npos) prefix = std::string("0") + spec.type;
    }
    if (spec.grouping) add_grouping(digits, spec.grouping);
    prefix = (is_negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign)) + prefix;
    return true;
}

// '=' puts the fill between sign and digits.
void append_padded(Runtime& runtime, TextBuilder& out, const Text& prefix, const Text& body, const Spec& spec, char default_align) {
    const char align = spec.align ? spec.align : default_align;
    const int64_t used = runtime.length(Value::of(&prefix)) + runtime.length(Value::of(&body));
    const int64_t n_fill = std::max<int64_t>(0, spec.width - used);
    const int64_t n_before = align == '<' ? 0 : align == '^' ? n_fill / 2 : n_fill;
    if (align == '=') out.append(prefix);
    out.append_repeated(spec.fill, n_before);
    if (align != '=') out.append(prefix);
    out.append(body);
    out.append_repeated(spec.fill, n_fill - n_before);
}

void append_text_field(Runtime& runtime, TextBuilder& out, const Text* text, const Spec& spec, char default_align) {
    if (spec.precision >= 0 && spec.precision < runtime.length(Value::of(text))) {
        text = cut(runtime, *text, 0, byte_offset(text->bytes, static_cast<size_t>(spec.precision)));
    }
    append_padded(runtime, out, Text{}, *text, spec, default_align);
}

void append_number_field(Runtime& runtime, TextBuilder& out, const Value& value, const Spec& spec) {
    std::string prefix, digits;
    if (!format_number(runtime, value, spec, prefix, digits)) return;
    append_padded(runtime, out, Text{prefix, {}}, Text{digits, {}}, spec, '>');
}

const Text* repr_text(Runtime& runtime, const Value& value) {
    TextBuilder out(runtime);
    append_repr(runtime, out, value);
    return out.finish();
}

// ---- "%s" % value

// The format's own bytes keep the format's marks, each value its own.
class PercentFormatter {
  public:
    PercentFormatter(Runtime& runtime, const Text& format, const Value& values)
        : runtime_(runtime), format_(format), bytes_(format.bytes), values_(values), out_(runtime, format.bytes.size()) {}

    const Text* run() {
        while (at_ < bytes_.size() && runtime_.step()) {
            const size_t percent = std::min(bytes_.find('%', at_), bytes_.size());
            out_.append(format_, at_, percent);
            at_ = percent + 1;
            if (percent < bytes_.size()) run_field();
        }
        const bool is_tuple = values_.is_list() && values_.list->type == ListType::kTuple;
        const size_t n_values = is_tuple ? values_.list->items.size : 1;
        if (runtime_.ok() && n_used_ < n_values && !values_.is_dict() && !(values_.is_list() && !is_tuple)) {
            runtime_.fail("not all arguments were used by the format");
        }
        return out_.finish();
    }

  private:
    // A tuple gives its elements in turn; anything else is the one value.
    Value next_value() {
        if (values_.is_list() && values_.list->type == ListType::kTuple) {
            if (n_used_ < values_.list->items.size) return values_.list->items[n_used_++];
        } else if (n_used_ == 0) {
            ++n_used_;
            return values_;
        }
        return runtime_.fail("not enough arguments for the format");
    }

    int64_t read_size() {
        if (at_ >= bytes_.size() || bytes_[at_] != '*') return read_number(bytes_, at_);
        ++at_;
        const Value value = next_value();
        if (!value.is_integer()) return runtime_.fail("'*' needs an integer"), 0;
        return std::max<int64_t>(0, std::min<int64_t>(value.as_integer(), INT32_MAX));
    }

    void read_flags(Spec& spec) {
        for (; at_ < bytes_.size(); ++at_) {
            const char c = bytes_[at_];
            if (c == '-')
                spec.align = '<';
            else if (c == '0' && spec.align == '\0')
                spec.align = '=', spec.fill = "0";
            else if (c == '+' || (c == ' ' && spec.sign == '-'))
                spec.sign = c;
            else if (c == '#')
                spec.is_alternate = true;
            else if (c != '0' && c != ' ')
                break;
        }
        if (spec.align == '<') spec.fill = " ";
    }

    void run_field() {
        Value value;
        bool is_keyed = false;
        if (at_ < bytes_.size() && bytes_[at_] == '(') {
            const size_t close = bytes_.find(')', at_);
            if (close == std::string_view::npos || !values_.is_dict()) {
                runtime_.fail("format with a key needs a mapping");
                return;
            }
            const Value* found = runtime_.find(*values_.dict, bytes_.substr(at_ + 1, close - at_ - 1));
            if (!found) {
                runtime_.fail("format key is not in the mapping");
                return;
            }
            value = *found;
            is_keyed = true;
            at_ = close + 1;
        }
        Spec spec;
        read_flags(spec);
        spec.width = read_size();
        if (at_ < bytes_.size() && bytes_[at_] == '.') spec.precision = (++at_, read_size());
        while (at_ < bytes_.size() && (bytes_[at_] == 'l' || bytes_[at_] == 'h' || bytes_[at_] == 'L')) ++at_;
        if (at_ >= bytes_.size()) {
            runtime_.fail("incomplete format");
            return;
        }
        spec.type = bytes_[at_++];
        if (spec.type == '%') return out_.append("%");
        if (!is_keyed) value = next_value();
        if (runtime_.ok()) append_field(value, spec);
    }

    void append_field(Value value, Spec& spec) {
        switch (spec.type) {
            case 's':
                return append_text(runtime_.to_text(value), spec);
            case 'r':
            case 'a':
                return append_text(repr_text(runtime_, value), spec);
            case 'c':
                return append_character(value, spec);
            case 'd':
            case 'i':
            case 'u':
                spec.type = 'd';
                if (value.is(Kind::kFloat) && std::fabs(value.real) < 0x1p63) value = Value::of(static_cast<int64_t>(value.real));
                spec.precision = -1;
                break;
            case 'x':
            case 'X':
            case 'o':
                spec.precision = -1;
                break;
            case 'e':
            case 'E':
            case 'f':
            case 'F':
            case 'g':
            case 'G':
                break;
            default:
                runtime_.fail("unsupported format character");
                return;
        }
        if (!value.is_number()) {
            runtime_.fail("format '%%%c' needs a number, not '%s'", spec.type, type_name(value));
            return;
        }
        append_number_field(runtime_, out_, value, spec);
    }

    void append_text(const Text* text, Spec spec) {
        if (spec.align == '=') spec.align = '>', spec.fill = " ";
        append_text_field(runtime_, out_, text, spec, '>');
    }

    void append_character(const Value& value, const Spec& spec) {
        if (value.is_string() && runtime_.length(value) == 1) return append_text(value.text, spec);
        const int64_t code = value.is_integer() ? value.as_integer() : -1;
        if (code < 0 || code > 0x10ffff || is_surrogate(static_cast<uint32_t>(code))) {
            runtime_.fail("format '%%c' needs a character");
            return;
        }
        char bytes[4];
        const Text text{{bytes, encode_utf8(static_cast<uint32_t>(code), bytes)}, {}};
        append_text(&text, spec);
    }

    Runtime& runtime_;
    const Text& format_;
    std::string_view bytes_;
    const Value& values_;
    TextBuilder out_;
    size_t at_ = 0;
    size_t n_used_ = 0;
};

// ---- "{}".format(value)

// [[fill]align][sign][#][0][width][grouping][.precision][type], as in Python's format specification mini-language.
bool parse_spec(std::string_view text, Spec& spec) {
    const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
    size_t at = 0;
    const size_t first = text.empty() ? 0 : decode_utf8(text, 0).size;
    if (first > 0 && first < text.size() && is_align(text[first])) {
        spec.fill = std::string(text.substr(0, first));
        spec.align = text[first];
        at = first + 1;
    } else if (!text.empty() && is_align(text[0])) {
        spec.align = text[at++];
    }
    const auto skip = [&](std::string_view any) {
        return at < text.size() && any.find(text[at]) != std::string_view::npos ? text[at++] : '\0';
    };
    if (const char sign = skip("+- ")) spec.sign = sign;
    spec.is_alternate = skip("#") != '\0';
    if (skip("0") && spec.align == '\0') spec.align = '=', spec.fill = "0";
    spec.width = read_number(text, at);
    spec.grouping = skip(",_");
    if (skip(".")) {
        const size_t begin = at;
        spec.precision = read_number(text, at);
        if (at == begin) return false;
    }
    spec.type = skip("bcdeEfFgGnosxX%");
    if (spec.type == 'n') spec.type = '\0';
    return at == text.size();
}

class BraceFormatter {
  public:
    BraceFormatter(Runtime& runtime, const Text& format, const Args& args)
        : runtime_(runtime), format_(format), bytes_(format.bytes), args_(args), out_(runtime, format.bytes.size()) {}

    const Text* run() {
        while (at_ < bytes_.size() && runtime_.step()) {
            const size_t brace = std::min(bytes_.find_first_of("{}", at_), bytes_.size());
            out_.append(format_, at_, brace);
            at_ = brace;
            if (brace == bytes_.size()) break;
            if (brace + 1 < bytes_.size() && bytes_[brace + 1] == bytes_[brace]) {
                out_.append(format_, brace, brace + 1);
                at_ = brace + 2;
            } else {
                run_field();
            }
        }
        return out_.finish();
    }

  private:
    void run_field() {
        const size_t close = bytes_[at_] == '{' ? bytes_.find('}', at_) : std::string_view::npos;
        std::string_view field = close == std::string_view::npos ? "" : bytes_.substr(at_ + 1, close - at_ - 1);
        if (close == std::string_view::npos || field.find('{') != std::string_view::npos) {
            runtime_.fail("format with an unpaired or nested brace");
            return;
        }
        at_ = close + 1;
        Spec spec;
        const size_t colon = field.find(':');
        if (colon != std::string_view::npos && !parse_spec(field.substr(colon + 1), spec)) {
            runtime_.fail("malformed format specification");
            return;
        }
        field = field.substr(0, colon);
        char conversion = '\0';
        if (field.size() >= 2 && field[field.size() - 2] == '!') {
            conversion = field.back();
            field.remove_suffix(2);
        }
        append_field(find_value(field), conversion, spec);
    }

    // "0", "name", or either followed by .attribute and [element].
    Value find_value(std::string_view field) {
        size_t end = std::min(field.find_first_of(".["), field.size());
        const std::string_view first = field.substr(0, end);
        Value value = find_argument(first);
        while (end < field.size() && runtime_.ok()) {
            const bool is_element = field[end] == '[';
            const size_t begin = end + 1;
            end = std::min(is_element ? field.find(']', begin) : field.find_first_of(".[", begin), field.size());
            const std::string_view part = field.substr(begin, end - begin);
            if (is_element && end < field.size()) ++end;
            size_t digits = 0;
            const int64_t index = read_number(part, digits);
            const bool is_index = is_element && !part.empty() && digits == part.size();
            if (!is_element)
                value = runtime_.get_attribute(value, part);
            else
                value = runtime_.get_item(value, is_index ? Value::of(index) : runtime_.make_string(part));
        }
        return value;
    }

    // An empty name takes the next positional argument.
    Value find_argument(std::string_view name) {
        size_t digits = 0;
        const int64_t number = read_number(name, digits);
        if (digits == name.size()) {
            const size_t index = name.empty() ? n_used_++ : static_cast<size_t>(number);
            if (index < args_.positional.size()) return args_.positional[index];
            return runtime_.fail("format needs more than %zu arguments", args_.positional.size());
        }
        for (const NamedValue& named : args_.named) {
            if (named.name == name) return named.value;
        }
        return runtime_.fail("format names an argument that is not given");
    }

    void append_field(const Value& value, char conversion, const Spec& spec) {
        if (!runtime_.ok()) return;
        if (conversion == 'r' || conversion == 'a') return append_text_field(runtime_, out_, repr_text(runtime_, value), spec, '<');
        const bool is_bool = value.is(Kind::kBool) && spec.type == '\0';
        if (value.is_number() && !is_bool && conversion == '\0') {
            if (spec.type == 's') runtime_.fail("format type 's' does not take a number");
            return append_number_field(runtime_, out_, value, spec);
        }
        if (spec.type != '\0' && spec.type != 's') {
            runtime_.fail("format type '%c' does not take '%s'", spec.type, type_name(value));
            return;
        }
        append_text_field(runtime_, out_, runtime_.to_text(value), spec, '<');
    }

    Runtime& runtime_;
    const Text& format_;
    std::string_view bytes_;
    const Args& args_;
    TextBuilder out_;
    size_t at_ = 0;
    size_t n_used_ = 0;
};

}  // namespace

const Text* format_percent(Runtime& runtime, const Text& format, const Value& values) {
    return PercentFormatter(runtime, format, values).run();
}

const Text* format_braces(Runtime& runtime, const Text& format, const Args& args) { return BraceFormatter(runtime, format, args).run(); }

}  // namespace ponder::jinja
