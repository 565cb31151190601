// SPDX-License-Identifier: Apache-2.0
// Attributes, elements and slices of values; what is not there is undefined.
#include <algorithm>
#include <charconv>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

int64_t clamp(int64_t value, int64_t low, int64_t high) { return std::max(low, std::min(value, high)); }

// Which elements a slice takes: `count` of them from `first`, `step` apart.
struct SliceRange {
    int64_t first, count, step;
};

// Python clamps bounds: to [0, length] going up, to [-1, length - 1] going down.
bool read_bound(Runtime& runtime, const Value& bound, int64_t length, int64_t step, int64_t fallback, int64_t& out) {
    out = fallback;
    if (bound.is_none()) return true;
    if (!bound.is_integer()) return runtime.fail("slice indices must be integers or none, not '%s'", type_name(bound)), false;
    int64_t index = bound.as_integer();
    if (index < 0) index = std::max<int64_t>(index, -length - 1) + length;
    out = step > 0 ? clamp(index, 0, length) : clamp(index, -1, length - 1);
    return true;
}

bool read_slice(Runtime& runtime, int64_t length, const Value& start, const Value& stop, const Value& step, SliceRange& out) {
    if (!step.is_none() && (!step.is_integer() || step.as_integer() == 0))
        return runtime.fail("slice step must be an integer other than zero"), false;
    out.step = step.is_none() ? 1 : clamp(step.as_integer(), -length - 1, length + 1);
    int64_t end = 0;
    if (!read_bound(runtime, start, length, out.step, out.step > 0 ? 0 : length - 1, out.first)) return false;
    if (!read_bound(runtime, stop, length, out.step, out.step > 0 ? length : -1, end)) return false;
    const int64_t distance = out.step > 0 ? end - out.first : out.first - end;
    const int64_t stride = out.step > 0 ? out.step : -out.step;
    out.count = distance > 0 ? (distance + stride - 1) / stride : 0;
    return true;
}

// Steps other than 1 need random access by code point, so the offsets are listed first.
const Text* slice_text(Runtime& runtime, const Text& text, const SliceRange& range, int64_t length) {
    const std::string_view bytes = text.bytes;
    const bool is_ascii = static_cast<size_t>(length) == bytes.size();
    if (!runtime.step_characters(bytes.size())) return runtime.share_text({});
    if (range.step == 1) {
        const auto first = static_cast<size_t>(range.first), count = static_cast<size_t>(range.count);
        const size_t begin = is_ascii ? first : byte_offset(bytes, first);
        return cut(runtime, text, begin, begin + (is_ascii ? count : byte_offset(bytes.substr(begin), count)));
    }
    ArenaArray<size_t> offsets;  // of code points
    if (!runtime.reserve(offsets, static_cast<size_t>(length) + 1)) return runtime.share_text({});
    for (size_t at = 0; at < bytes.size(); at += decode_utf8(bytes, at).size) runtime.push(offsets, at);
    runtime.push(offsets, bytes.size());
    TextBuilder out(runtime, static_cast<size_t>(range.count));
    for (int64_t i = 0; i < range.count && runtime.step(); ++i) {
        const auto index = static_cast<size_t>(range.first + i * range.step);
        out.append(text, offsets[index], offsets[index + 1]);
    }
    return out.finish();
}

}  // namespace

Value Runtime::slice(const Value& object, const Value& start, const Value& stop, const Value& step_value) {
    if (!object.is_string() && !object.is_list()) {
        if (object.is_undefined()) return get_attribute(object, "slice");
        return undefined("slice", type_name(object));
    }
    const int64_t n = length(object);
    SliceRange range{};
    if (!ok() || !read_slice(*this, n, start, stop, step_value, range)) return {};
    if (object.is_string()) return Value::of(slice_text(*this, *object.text, range, n));
    List* out = make_list(object.list->type == ListType::kTuple ? ListType::kTuple : ListType::kList);
    if (!reserve(out->items, static_cast<size_t>(range.count)) || !step(static_cast<uint64_t>(range.count) / 16 + 1)) return {};
    for (int64_t i = 0; i < range.count; ++i) push(out->items, object.list->items[static_cast<size_t>(range.first + i * range.step)]);
    return Value::of(out);
}

Value Runtime::get_index(const Value& object, int64_t index) {
    const int64_t n = length(object);
    if (index < 0) index += n;
    if (!ok() || index < 0 || index >= n) return undefined("element", type_name(object));
    if (object.is_list()) return object.list->items[static_cast<size_t>(index)];
    const std::string_view bytes = object.text->bytes;
    const size_t begin =
        static_cast<size_t>(n) == bytes.size() ? static_cast<size_t>(index) : byte_offset(bytes, static_cast<size_t>(index));
    return cut_value(*this, *object.text, begin, begin + decode_utf8(bytes, begin).size);
}

// object[key]: elements first, attributes second; object.name is the other way round. message['items'] is a member, message.items
// the method.
Value Runtime::get_item(const Value& object, const Value& key) {
    if (!step()) return {};
    if (object.is_undefined()) return get_attribute(object, "element");
    if ((object.is_list() || object.is_string()) && key.is_integer()) return get_index(object, key.as_integer());
    if (object.is_dict()) {
        // An unhashable key is an error in Python's dict, but Jinja2 answers undefined.
        const bool is_plain = !key.is_list() && !key.is_dict();
        if (Value* value = is_plain || is_hashable(key) ? find(*object.dict, key) : nullptr) return *value;
    }
    if (!key.is_string()) return undefined("element", type_name(object));
    if (object.is_dict()) {
        const Builtin method = find_method(object, key.text->bytes);
        return method ? bind(key.text->bytes, method, object) : undefined(key.text->bytes, type_name(object));
    }
    return get_attribute(object, key.text->bytes);
}

// The only door to anything behind a dot: fixed tables of methods and the members of mappings, so nothing of the host is reachable.
Value Runtime::get_attribute(const Value& object, std::string_view name) {
    if (!step()) return {};
    if (object.is_undefined()) {
        const Missing* missing = object.missing;
        const auto size = [](std::string_view s) { return static_cast<int>(std::min<size_t>(s.size(), 100)); };
        if (!missing) return fail("undefined value has no '%.*s'", size(name), name.data());
        if (!missing->owner) return fail("'%.*s' is undefined", size(missing->name), missing->name.data());
        return fail("'%s' has no '%.*s'", missing->owner, size(missing->name), missing->name.data());
    }
    if (object.is(Kind::kLoop)) return get_loop_attribute(object, name);
    if (object.is(Kind::kNamespace)) {
        if (Value* value = find(*object.dict, name)) return *value;
        return undefined(name, "namespace");
    }
    if (object.is_list() && object.list->is_group && name == "grouper") return object.list->items[0];
    if (object.is_list() && object.list->is_group && name == "list") return object.list->items[1];
    if (object.is(Kind::kCallable) && name == "name") return Value::of(share_text(object.callable->name));
    if (const Builtin method = find_method(object, name)) return bind(name, method, object);
    if (object.is_dict()) {
        if (Value* value = find(*object.dict, name)) return *value;
    }
    return undefined(name, type_name(object));
}

Value Runtime::get_loop_attribute(const Value& value, std::string_view name) {
    const Loop& loop = *value.loop;
    const auto n = static_cast<int64_t>(loop.items.list->items.size);
    const auto i = static_cast<int64_t>(loop.index);
    const auto item = [&](int64_t at) {
        return at >= 0 && at < n ? loop.items.list->items[static_cast<size_t>(at)] : undefined(name, "loop");
    };
    if (name == "index") return Value::of(i + 1);
    if (name == "index0") return Value::of(i);
    if (name == "revindex") return Value::of(n - i);
    if (name == "revindex0") return Value::of(n - i - 1);
    if (name == "first") return Value::of(i == 0);
    if (name == "last") return Value::of(i == n - 1);
    if (name == "length") return Value::of(n);
    if (name == "depth") return Value::of(loop.depth);
    if (name == "depth0") return Value::of(loop.depth - 1);
    if (name == "previtem") return item(i - 1);
    if (name == "nextitem") return item(i + 1);
    if (const Builtin method = find_method(value, name)) return bind(name, method, value);
    return undefined(name, "loop");
}

// Numbers among the parts are list indexes, as in map(attribute='tags.0').
Value Runtime::get_path(const Value& object, const Value& path) {
    if (!path.is_string()) return get_item(object, path);
    std::string_view rest = path.text->bytes;
    Value value = object;
    for (bool is_last = false; !is_last && ok();) {
        const size_t dot = rest.find('.');
        is_last = dot == std::string_view::npos;
        const std::string_view part = rest.substr(0, dot);
        rest.remove_prefix(is_last ? rest.size() : dot + 1);
        int64_t index = 0;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
        const bool is_index = !part.empty() && error == std::errc() && end == part.data() + part.size() && part[0] != '-';
        value = get_item(value, is_index ? Value::of(index) : Value::of(share_text(part)));
    }
    return value;
}

}  // namespace ponder::jinja
