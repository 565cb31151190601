// SPDX-License-Identifier: Apache-2.0
// How values print: Python's str and repr.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

// The escape that repr writes for a code point, empty if it stays as it is.
std::string_view repr_escape(const CodePoint& c, char quote, char (&buffer)[12]) {
    if (c.value == '\\') return "\\\\";
    if (c.value == static_cast<unsigned char>(quote)) return quote == '\'' ? "\\'" : "\\\"";
    if (c.value == '\n') return "\\n";
    if (c.value == '\r') return "\\r";
    if (c.value == '\t') return "\\t";
    if (is_printable(c.value)) return {};
    const char* format = c.value < 0x100 ? "\\x%02x" : c.value < 0x10000 ? "\\u%04x" : "\\U%08x";
    return {buffer, static_cast<size_t>(std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(c.value)))};
}

// Single quotes unless the text has them and no double ones. Quotes and commas are the template's own bytes.
void append_string_repr(Runtime& runtime, TextBuilder& out, const Text& text) {
    const std::string_view bytes = text.bytes;
    const bool has_single = bytes.find('\'') != std::string_view::npos, has_double = bytes.find('"') != std::string_view::npos;
    const char quote = has_single && !has_double ? '"' : '\'';
    out.append({&quote, 1});
    size_t plain = 0;  // start of what is not written yet
    runtime.step(bytes.size() / 8);
    for (size_t at = 0; at < bytes.size() && runtime.ok();) {
        const CodePoint c = decode_utf8(bytes, at);
        char buffer[12];
        const std::string_view escape = repr_escape(c, quote, buffer);
        if (!escape.empty()) {
            out.append(text, plain, at);
            out.append(escape, is_untrusted(text, at, at + c.size));
            plain = at + c.size;
        }
        at += c.size;
    }
    if (runtime.ok()) out.append(text, plain, bytes.size());
    out.append({&quote, 1});
}

void append_items(Runtime& runtime, TextBuilder& out, std::span<const Value> items, std::string_view open, std::string_view close) {
    out.append(open);
    for (size_t i = 0; i < items.size() && runtime.ok(); ++i) {
        if (i) out.append(", ");
        append_repr(runtime, out, items[i]);
    }
    out.append(close);
}

// Views of dicts and ranges say what they are, as in Python.
void append_list(Runtime& runtime, TextBuilder& out, const List& list) {
    const auto items = list.items.span();
    switch (list.type) {
        case ListType::kList:
            return append_items(runtime, out, items, "[", "]");
        case ListType::kTuple:
            return append_items(runtime, out, items, "(", items.size() == 1 ? ",)" : ")");
        case ListType::kKeys:
            return append_items(runtime, out, items, "dict_keys([", "])");
        case ListType::kValues:
            return append_items(runtime, out, items, "dict_values([", "])");
        case ListType::kItems:
            return append_items(runtime, out, items, "dict_items([", "])");
        case ListType::kRange:
            break;
    }
    out.append("range(" + std::to_string(list.start) + ", " + std::to_string(list.stop));
    if (list.step != 1) out.append(", " + std::to_string(list.step));
    out.append(")");
}

void append_dict(Runtime& runtime, TextBuilder& out, const Dict& dict) {
    out.append("{");
    for (size_t i = 0; i < dict.entries.size && runtime.ok(); ++i) {
        if (i) out.append(", ");
        append_repr(runtime, out, dict.entries[i].key);
        out.append(": ");
        append_repr(runtime, out, dict.entries[i].value);
    }
    out.append("}");
}

}  // namespace

std::string float_repr(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char buffer[64];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
    const std::string_view shortest(buffer, static_cast<size_t>(end - buffer));
    const size_t e = shortest.find('e');
    int exponent = 0;
    std::from_chars(buffer + e + (buffer[e + 1] == '+' ? 2 : 1), end, exponent);
    const std::string_view mantissa = shortest.substr(0, e);
    if (exponent < -4 || exponent >= 16) {  // Python's choice between 1e+16 and 1000000000000000.0
        return std::string(mantissa) + std::string(shortest.substr(e));
    }
    const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
    std::string text(buffer, fixed.ptr);
    if (text.find('.') == std::string::npos) text += ".0";
    return text;
}

void append_repr(Runtime& runtime, TextBuilder& out, const Value& value) {
    const Runtime::Nesting nesting(runtime);
    if (!nesting || !runtime.step()) return;
    if (value.is_string()) return append_string_repr(runtime, out, *value.text);
    if (value.is_undefined()) return out.append("Undefined");
    append_str(runtime, out, value);
}

// Only strings differ between str and repr; what contains strings shows their repr.
void append_str(Runtime& runtime, TextBuilder& out, const Value& value) {
    switch (value.kind) {
        case Kind::kUndefined:
            return;
        case Kind::kNone:
            return out.append("None");
        case Kind::kBool:
            return out.append(value.boolean ? "True" : "False");
        case Kind::kInt:
            return out.append(std::to_string(value.integer));
        case Kind::kNatural:
            return out.append(std::to_string(value.natural));
        case Kind::kFloat:
            return out.append(float_repr(value.real));
        case Kind::kString:
            return out.append(*value.text);
        case Kind::kList:
            return append_list(runtime, out, *value.list);
        case Kind::kDict:
            return append_dict(runtime, out, *value.dict);
        case Kind::kNamespace:
            out.append("<Namespace ");
            append_dict(runtime, out, *value.dict);
            return out.append(">");
        case Kind::kCallable:
            return out.append("<function>");
        case Kind::kLoop:
            return out.append("<LoopContext " + std::to_string(value.loop->index + 1) + "/" +
                              std::to_string(value.loop->items.list->items.size) + ">");
    }
}

const Text* Runtime::to_text(const Value& value) {
    if (value.is_string()) return value.text;
    TextBuilder out(*this);
    append_str(*this, out, value);
    return out.finish();
}

}  // namespace ponder::jinja
