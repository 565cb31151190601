// SPDX-License-Identifier: Apache-2.0
// The tojson filter: Python's json.dumps, with the marks of the strings kept through escaping.
#include <cmath>
#include <cstdio>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

// Empty if the character stays as it is; DEL and everything above do, unless only ASCII may be written.
std::string_view json_escape(const CodePoint& c, bool ensure_ascii, char (&buffer)[16]) {
    switch (c.value) {
        case '"':
            return "\\\"";
        case '\\':
            return "\\\\";
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        case '\b':
            return "\\b";
        case '\f':
            return "\\f";
        default:
            break;
    }
    if (c.value >= 0x20 && !(ensure_ascii && c.value >= 0x80)) return {};
    int size = 0;
    if (c.value < 0x10000) {
        size = std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c.value));
    } else {
        const unsigned offset = c.value - 0x10000;
        size = std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x", 0xd800 + (offset >> 10), 0xdc00 + (offset & 0x3ff));
    }
    return {buffer, static_cast<size_t>(size)};
}

class JsonWriter {
  public:
    JsonWriter(Runtime& runtime, TextBuilder& out, const JsonStyle& style) : runtime_(runtime), out_(out), style_(style) {}

    void write(const Value& value) {
        const Runtime::Nesting nesting(runtime_);
        if (!nesting || !runtime_.step()) return;
        switch (value.kind) {
            case Kind::kString:
                return write_string(*value.text);
            case Kind::kList:
                return write_list(*value.list);
            case Kind::kDict:
                return write_dict(*value.dict);
            case Kind::kNone:
            case Kind::kBool:
            case Kind::kInt:
            case Kind::kNatural:
            case Kind::kFloat:
                return out_.append(scalar(value));
            default:
                runtime_.fail("tojson: a value of type '%s' has no JSON form", type_name(value));
        }
    }

  private:
    static std::string scalar(const Value& value) {
        switch (value.kind) {
            case Kind::kNone:
                return "null";
            case Kind::kBool:
                return value.boolean ? "true" : "false";
            case Kind::kInt:
                return std::to_string(value.integer);
            case Kind::kNatural:
                return std::to_string(value.natural);
            default:
                break;
        }
        if (std::isnan(value.real)) return "NaN";
        if (std::isinf(value.real)) return value.real < 0 ? "-Infinity" : "Infinity";
        return float_repr(value.real);
    }

    void write_string(const Text& text) {
        out_.append("\"");
        size_t plain = 0;
        runtime_.step(text.bytes.size() / 8);
        for (size_t at = 0; at < text.bytes.size() && runtime_.ok();) {
            const CodePoint c = decode_utf8(text.bytes, at);
            char buffer[16];
            const std::string_view escape = json_escape(c, style_.ensure_ascii, buffer);
            if (!escape.empty()) {
                out_.append(text, plain, at);
                out_.append(escape, is_untrusted(text, at, at + c.size));
                plain = at + c.size;
            }
            at += c.size;
        }
        if (runtime_.ok()) out_.append(text, plain, text.bytes.size());
        out_.append("\"");
    }

    // Only with an indent, which may be empty.
    void write_line_break() {
        if (!style_.indent) return;
        out_.append("\n");
        for (int i = 0; i < level_; ++i) out_.append(*style_.indent);
    }

    template <class WriteItem>
    void write_items(size_t n, std::string_view open, std::string_view close, WriteItem write_item) {
        out_.append(open);
        ++level_;
        for (size_t i = 0; i < n && runtime_.ok(); ++i) {
            if (i) out_.append(*style_.item_separator);
            write_line_break();
            write_item(i);
        }
        --level_;
        if (n) write_line_break();
        out_.append(close);
    }

    void write_list(const List& list) {
        write_items(list.items.size, "[", "]", [&](size_t i) { write(list.items[i]); });
    }

    // Python writes numbers, bools and none as strings where they are keys.
    void write_key(const Value& key) {
        if (key.is_string()) return write_string(*key.text);
        if (!key.is_number() && !key.is_none()) {
            runtime_.fail("tojson: a key of type '%s' has no JSON form", type_name(key));
            return;
        }
        out_.append("\"" + scalar(key) + "\"");
    }

    void write_dict(const Dict& dict) {
        std::span<DictEntry> entries = dict.entries.span();
        if (style_.sort_keys) entries = sorted(entries);
        write_items(entries.size(), "{", "}", [&](size_t i) {
            write_key(entries[i].key);
            out_.append(*style_.key_separator);
            write(entries[i].value);
        });
    }

    // In a copy: sorting for print must not change the dict.
    std::span<DictEntry> sorted(std::span<const DictEntry> entries) {
        ArenaArray<Value> keys, values;
        ArenaArray<DictEntry> out;
        for (const DictEntry& entry : entries) {
            runtime_.push(keys, entry.key);
            runtime_.push(values, entry.value);
            runtime_.push(out, entry);
        }
        if (!runtime_.ok()) return {};
        sort_by(runtime_, values.span(), keys.span(), false);
        for (size_t i = 0; i < out.size; ++i) out[i] = {keys[i], values[i]};
        return out.span();
    }

    Runtime& runtime_;
    TextBuilder& out_;
    const JsonStyle& style_;
    int level_ = 0;
};

}  // namespace

void append_json(Runtime& runtime, TextBuilder& out, const Value& value, const JsonStyle& style) {
    JsonWriter(runtime, out, style).write(value);
}

}  // namespace ponder::jinja
