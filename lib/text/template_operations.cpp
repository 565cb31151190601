// SPDX-License-Identifier: Apache-2.0
// Truth, equality, order, membership and iteration of values, as Python has them.
#include <algorithm>
#include <cmath>
#include <compare>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

// Python compares mixed numbers exactly, without rounding the integer.
std::partial_ordering compare_numbers(const Value& a, const Value& b) {
    const bool a_is_float = a.is(Kind::kFloat), b_is_float = b.is(Kind::kFloat);
    if (a_is_float && b_is_float) return a.real <=> b.real;
    if (b_is_float) return 0 <=> compare_numbers(b, a);
    if (a_is_float) {
        if (std::isnan(a.real)) return std::partial_ordering::unordered;
        if (a.real >= 0x1p64) return std::partial_ordering::greater;
        if (a.real < -0x1p63) return std::partial_ordering::less;
        const double whole = std::floor(a.real);
        Value integer;
        if (whole < 0x1p63) {
            integer = Value::of(static_cast<int64_t>(whole));
        } else {
            integer.kind = Kind::kNatural;
            integer.natural = static_cast<uint64_t>(whole);
        }
        const auto order = compare_numbers(integer, b);
        return order == 0 && a.real > whole ? std::partial_ordering::greater : order;
    }
    if (a.is(Kind::kNatural) && b.is(Kind::kNatural)) return a.natural <=> b.natural;
    if (a.is(Kind::kNatural)) return std::partial_ordering::greater;
    if (b.is(Kind::kNatural)) return std::partial_ordering::less;
    return a.as_integer() <=> b.as_integer();
}

bool is_sequence(const Value& v) { return v.is_list(); }

}  // namespace

const char* type_name(const Value& value) {
    switch (value.kind) {
        case Kind::kUndefined:
            return "Undefined";
        case Kind::kNone:
            return "NoneType";
        case Kind::kBool:
            return "bool";
        case Kind::kInt:
        case Kind::kNatural:
            return "int";
        case Kind::kFloat:
            return "float";
        case Kind::kString:
            return "str";
        case Kind::kList:
            return value.list->type == ListType::kTuple ? "tuple" : value.list->type == ListType::kList ? "list" : "iterable";
        case Kind::kDict:
            return "dict";
        case Kind::kNamespace:
            return "namespace";
        case Kind::kCallable:
            return "function";
        case Kind::kLoop:
            return "loop";
    }
    return "object";
}

bool Runtime::is_true(const Value& value) const {
    switch (value.kind) {
        case Kind::kUndefined:
        case Kind::kNone:
            return false;
        case Kind::kBool:
            return value.boolean;
        case Kind::kInt:
            return value.integer != 0;
        case Kind::kFloat:
            return value.real != 0;
        case Kind::kString:
            return !value.text->bytes.empty();
        case Kind::kList:
            return value.list->items.size != 0;
        case Kind::kDict:
            return value.dict->entries.size != 0;
        default:
            return true;
    }
}

// Never an error, as in Python: values of different types are just unequal. Cycles end at the depth limit.
bool Runtime::is_equal(const Value& a, const Value& b) {
    if (!step()) return false;
    if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
    if (a.kind != b.kind) return false;
    switch (a.kind) {
        case Kind::kUndefined:
        case Kind::kNone:
            return true;
        case Kind::kString:
            return a.text->bytes == b.text->bytes && step_bytes(a.text->bytes.size());
        case Kind::kNamespace:
            return a.dict == b.dict;
        case Kind::kCallable:
            return a.callable == b.callable;
        case Kind::kLoop:
            return a.loop == b.loop;
        default:
            break;
    }
    const Nesting nesting(*this);
    if (!nesting) return false;
    if (a.is_list()) {
        const ArenaArray<Value>&x = a.list->items, &y = b.list->items;
        if (x.size != y.size || a.list->type != b.list->type) return false;
        for (size_t i = 0; i < x.size; ++i) {
            if (!is_equal(x[i], y[i])) return false;
        }
        return ok();
    }
    if (a.dict->entries.size != b.dict->entries.size) return false;
    for (const DictEntry& entry : a.dict->entries) {
        const Value* other = find(*b.dict, entry.key);
        if (!ok() || !other || !is_equal(entry.value, *other)) return false;
    }
    return ok();
}

bool Runtime::is_less(const Value& a, const Value& b) {
    if (!step()) return false;
    if (a.is_number() && b.is_number()) return compare_numbers(a, b) < 0;
    if (a.is_string() && b.is_string()) {  // byte order of UTF-8 is code point order
        return a.text->bytes < b.text->bytes && step_bytes(std::min(a.text->bytes.size(), b.text->bytes.size()));
    }
    if (is_sequence(a) && is_sequence(b) && a.list->type == b.list->type) {
        const Nesting nesting(*this);
        const size_t n_common = std::min(a.list->items.size, b.list->items.size);
        for (size_t i = 0; nesting && ok() && i < n_common; ++i) {
            if (!is_equal(a.list->items[i], b.list->items[i])) return ok() && is_less(a.list->items[i], b.list->items[i]);
        }
        return ok() && a.list->items.size < b.list->items.size;
    }
    fail("'<' is not supported between '%s' and '%s'", type_name(a), type_name(b));
    return false;
}

// Marks do not matter to comparisons: a user's text can steer a template, but not become its bytes.
bool Runtime::contains(const Value& container, const Value& item) {
    if (container.is_string()) {
        if (!item.is_string()) return fail("'in <string>' requires a string as its left side, not '%s'", type_name(item)), false;
        return find_text(*this, container.text->bytes, item.text->bytes) != std::string_view::npos;
    }
    if (container.is_dict()) return find(*container.dict, item) != nullptr;
    if (!container.is_list() && !container.is_undefined()) return fail("'%s' cannot be searched with 'in'", type_name(container)), false;
    for (const Value& element : iterate(container)->items) {
        if (is_equal(element, item)) return ok();
        if (!ok()) return false;
    }
    return false;
}

// Code points for strings.
int64_t Runtime::length(const Value& value) {
    switch (value.kind) {
        case Kind::kUndefined:
            return 0;
        case Kind::kString:
            return step_characters(value.text->bytes.size()) ? static_cast<int64_t>(count_code_points(value.text->bytes)) : 0;
        case Kind::kList:
            return static_cast<int64_t>(value.list->items.size);
        case Kind::kDict:
            return static_cast<int64_t>(value.dict->entries.size);
        case Kind::kLoop:
            return length(value.loop->items);
        default:
            fail("'%s' has no length", type_name(value));
            return 0;
    }
}

// A text gives one text a character, each with its own mark.
List* Runtime::iterate(const Value& value) {
    if (value.is_list()) return value.list;
    List* list = make_list();
    if (value.is_dict()) {
        if (!reserve(list->items, value.dict->entries.size)) return list;
        for (const DictEntry& entry : value.dict->entries) push(list->items, entry.key);
        step(value.dict->entries.size / 16);
    } else if (value.is_string()) {
        const std::string_view bytes = value.text->bytes;
        for (size_t at = 0; at < bytes.size() && step();) {
            const size_t size = decode_utf8(bytes, at).size;
            push(list->items, cut_value(*this, *value.text, at, at + size));
            at += size;
        }
    } else if (!value.is_undefined()) {
        fail("'%s' is not iterable", type_name(value));
    }
    return list;
}

// Tuples of plain values are keys; what Python would also take (tuples in tuples) no template has been seen to use.
bool Runtime::is_hashable(const Value& key) const {
    if (key.is_dict() || (key.is_list() && key.list->type != ListType::kTuple)) return false;
    if (!key.is_list()) return true;
    return std::all_of(key.list->items.begin(), key.list->items.end(), [](const Value& v) { return !v.is_dict() && !v.is_list(); });
}

// The pointer is good until the dict grows.
Value* Runtime::find(Dict& dict, std::string_view key) {
    for (size_t i = 0; i < dict.entries.size; ++i) {
        DictEntry& entry = dict.entries[i];
        if (!entry.key.is_string() || entry.key.text->bytes != key) continue;
        return step(i / 16 + 1) ? &entry.value : nullptr;
    }
    step(dict.entries.size / 16 + 1);
    return nullptr;
}

Value* Runtime::find(Dict& dict, const Value& key) {
    if (key.is_string()) return find(dict, key.text->bytes);
    if (!is_hashable(key)) return fail("unhashable key of type '%s'", type_name(key)), nullptr;
    for (DictEntry& entry : dict.entries) {
        if (is_equal(entry.key, key)) return &entry.value;
        if (!ok()) break;
    }
    return nullptr;
}

void Runtime::set(Dict& dict, const Value& key, const Value& value) {
    Value* place = find(dict, key);
    if (!ok()) return;
    if (place) {
        *place = value;
    } else {
        push(dict.entries, DictEntry{key, value});
    }
}

// Bottom-up merge sort: unlike std::stable_sort it is safe with any order that hostile values can make up (not-a-number, errors).
void sort_by(Runtime& runtime, std::span<Value> items, std::span<Value> keys, bool is_reversed) {
    const size_t n = items.size();
    ArenaArray<DictEntry> from, to;
    if (!runtime.reserve(from, n) || !runtime.reserve(to, n)) return;
    for (size_t i = 0; i < n; ++i) from.data[i] = {keys[i], items[i]};
    for (size_t width = 1; width < n && runtime.ok(); width *= 2) {
        for (size_t begin = 0; begin < n && runtime.ok(); begin += 2 * width) {
            const size_t middle = std::min(begin + width, n), end = std::min(begin + 2 * width, n);
            size_t left = begin, right = middle;
            for (size_t out = begin; out < end; ++out) {
                const bool has_both = left < middle && right < end;
                const bool takes_right = has_both && (is_reversed ? runtime.is_less(from.data[left].key, from.data[right].key)
                                                                  : runtime.is_less(from.data[right].key, from.data[left].key));
                to.data[out] = takes_right || left == middle ? from.data[right++] : from.data[left++];
            }
        }
        std::swap(from, to);
    }
    for (size_t i = 0; i < n; ++i) {
        keys[i] = from.data[i].key;
        items[i] = from.data[i].value;
    }
}

Value ignore_case(Runtime& runtime, const Value& value) { return value.is_string() ? Value::of(to_lower(runtime, *value.text)) : value; }

}  // namespace ponder::jinja
