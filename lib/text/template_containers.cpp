// SPDX-License-Identifier: Apache-2.0
// Methods of lists, dicts and loops, and which object has which.
#include <algorithm>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

int64_t read_index(Runtime& runtime, const Value& value) {
    if (value.is_integer()) return value.as_integer();
    return runtime.fail("an index must be an integer, not '%s'", type_name(value)), 0;
}

// ---- lists

// Hugging Face's sandbox forbids changes of lists and dicts; templates made for other engines rely on them, and in a render's
// own arena they harm nobody.
Value list_append(Runtime& runtime, const Value& self, const Args& args) {
    Value item;
    if (read_args(runtime, "append", args, {"object"}, 1, &item)) runtime.push(self.list->items, item);
    return Value::none();
}

Value list_extend(Runtime& runtime, const Value& self, const Args& args) {
    Value items;
    if (!read_args(runtime, "extend", args, {"iterable"}, 1, &items)) return {};
    const List* source = runtime.iterate(items);
    const size_t n = source->items.size;  // a list may be extended by itself
    for (size_t i = 0; i < n && runtime.step(); ++i) runtime.push(self.list->items, source->items[i]);
    return Value::none();
}

Value list_insert(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2];
    if (!read_args(runtime, "insert", args, {"index", "object"}, 2, arguments)) return {};
    ArenaArray<Value>& items = self.list->items;
    int64_t index = read_index(runtime, arguments[0]);
    const auto n = static_cast<int64_t>(items.size);
    index = index < 0 ? std::max<int64_t>(0, index < -n ? 0 : index + n) : std::min(index, n);
    runtime.push(items, arguments[1]);
    if (runtime.step(items.size / 16 + 1)) std::rotate(items.begin() + index, items.end() - 1, items.end());
    return Value::none();
}

Value list_pop(Runtime& runtime, const Value& self, const Args& args) {
    Value position = Value::of(int64_t{-1});
    if (!read_args(runtime, "pop", args, {"index"}, 0, &position)) return {};
    ArenaArray<Value>& items = self.list->items;
    int64_t index = read_index(runtime, position);
    const auto n = static_cast<int64_t>(items.size);
    if (index < 0) index += n;
    if (index < 0 || index >= n) return runtime.fail("pop index out of range");
    if (!runtime.step(items.size / 16 + 1)) return {};
    const Value item = items[static_cast<size_t>(index)];
    std::copy(items.begin() + index + 1, items.end(), items.begin() + index);
    --items.size;
    return item;
}

Value list_index(Runtime& runtime, const Value& self, const Args& args) {
    Value item;
    if (!read_args(runtime, "index", args, {"value"}, 1, &item)) return {};
    for (size_t i = 0; i < self.list->items.size && runtime.ok(); ++i) {
        if (runtime.is_equal(self.list->items[i], item)) return Value::of(static_cast<int64_t>(i));
    }
    return runtime.fail("value is not in the list");
}

Value list_count(Runtime& runtime, const Value& self, const Args& args) {
    Value item;
    if (!read_args(runtime, "count", args, {"value"}, 1, &item)) return {};
    int64_t count = 0;
    for (size_t i = 0; i < self.list->items.size && runtime.ok(); ++i) count += runtime.is_equal(self.list->items[i], item);
    return Value::of(count);
}

Value list_copy(Runtime& runtime, const Value& self, const Args& args) {
    if (!read_args(runtime, "copy", args, {}, 0, nullptr)) return {};
    List* out = runtime.make_list();
    if (!runtime.step(self.list->items.size / 16 + 1) || !runtime.reserve(out->items, self.list->items.size)) return {};
    for (const Value& item : self.list->items) runtime.push(out->items, item);
    return Value::of(out);
}

Value list_reverse(Runtime& runtime, const Value& self, const Args& args) {
    if (read_args(runtime, "reverse", args, {}, 0, nullptr)) std::reverse(self.list->items.begin(), self.list->items.end());
    runtime.step(self.list->items.size / 16 + 1);
    return Value::none();
}

Value list_clear(Runtime& runtime, const Value& self, const Args& args) {
    if (read_args(runtime, "clear", args, {}, 0, nullptr)) self.list->items.size = 0;
    return Value::none();
}

// ---- dicts

Value dict_get(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {{}, Value::none()};
    if (!read_args(runtime, "get", args, {"key", "default"}, 1, arguments)) return {};
    const Value* found = runtime.find(*self.dict, arguments[0]);
    return found ? *found : arguments[1];
}

// A copy, where Python has a live view; templates look at it at once.
template <ListType type>
Value dict_view(Runtime& runtime, const Value& self, const Args& args) {
    if (!read_args(runtime, "dict view", args, {}, 0, nullptr)) return {};
    List* out = runtime.make_list(type);
    for (size_t i = 0; i < self.dict->entries.size && runtime.step(); ++i) {
        const DictEntry& entry = self.dict->entries[i];
        Value item = type == ListType::kKeys ? entry.key : entry.value;
        if (type == ListType::kItems) {
            List* pair = runtime.make_list(ListType::kTuple);
            runtime.push(pair->items, entry.key);
            runtime.push(pair->items, entry.value);
            item = Value::of(pair);
        }
        runtime.push(out->items, item);
    }
    return Value::of(out);
}

// Order of the rest is kept.
Value dict_pop(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2];
    if (!read_args(runtime, "pop", args, {"key", "default"}, 1, arguments)) return {};
    const Value* found = runtime.find(*self.dict, arguments[0]);
    const bool has_default = args.positional.size() + args.named.size() > 1;
    if (!found) return has_default || !runtime.ok() ? arguments[1] : runtime.fail("pop: no such key");
    const Value value = *found;
    ArenaArray<DictEntry>& entries = self.dict->entries;
    const auto* entry = std::find_if(entries.begin(), entries.end(), [&](const DictEntry& e) { return &e.value == found; });
    if (!runtime.step(entries.size / 16 + 1)) return {};
    std::copy(entry + 1, static_cast<const DictEntry*>(entries.end()), entries.begin() + (entry - entries.begin()));
    --entries.size;
    return value;
}

Value dict_setdefault(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {{}, Value::none()};
    if (!read_args(runtime, "setdefault", args, {"key", "default"}, 1, arguments)) return {};
    if (const Value* found = runtime.find(*self.dict, arguments[0])) return *found;
    if (runtime.ok()) runtime.push(self.dict->entries, DictEntry{arguments[0], arguments[1]});
    return arguments[1];
}

Value dict_copy(Runtime& runtime, const Value& self, const Args& args) {
    if (!read_args(runtime, "copy", args, {}, 0, nullptr)) return {};
    Dict* out = runtime.make<Dict>();
    for (size_t i = 0; i < self.dict->entries.size && runtime.step(); ++i) runtime.push(out->entries, self.dict->entries[i]);
    return Value::of(out);
}

Value dict_clear(Runtime& runtime, const Value& self, const Args& args) {
    if (read_args(runtime, "clear", args, {}, 0, nullptr)) self.dict->entries.size = 0;
    return Value::none();
}

// ---- loops

Value loop_cycle(Runtime& runtime, const Value& self, const Args& args) {
    if (args.positional.empty()) return runtime.fail("loop.cycle needs something to cycle through");
    return args.positional[self.loop->index % args.positional.size()];
}

// True at the first call, and whenever the arguments differ from the last call's.
Value loop_changed(Runtime& runtime, const Value& self, const Args& args) {
    List* now = runtime.make_list(ListType::kTuple);
    for (const Value& item : args.positional) runtime.push(now->items, item);
    const bool is_changed = !self.loop->has_changed || !runtime.is_equal(self.loop->last_changed, Value::of(now));
    self.loop->has_changed = true;
    self.loop->last_changed = Value::of(now);
    return Value::of(is_changed);
}

constexpr BuiltinRow kListMethods[] = {
    {"append", list_append}, {"clear", list_clear},   {"copy", list_copy}, {"count", list_count},     {"extend", list_extend},
    {"index", list_index},   {"insert", list_insert}, {"pop", list_pop},   {"reverse", list_reverse},
};

constexpr BuiltinRow kTupleMethods[] = {{"count", list_count}, {"index", list_index}};

constexpr BuiltinRow kLoopMethods[] = {{"changed", loop_changed}, {"cycle", loop_cycle}};

}  // namespace

// dict.update is also what dict() and namespace() are made of.
Value dict_update(Runtime& runtime, const Value& self, const Args& args) {
    if (args.positional.size() > 1) return runtime.fail("update takes at most one argument");
    if (!args.positional.empty() && args.positional[0].is_dict()) {
        const ArenaArray<DictEntry> entries = args.positional[0].dict->entries;  // a dict may be updated by itself
        for (size_t i = 0; i < entries.size && runtime.step(); ++i) runtime.set(*self.dict, entries[i].key, entries[i].value);
    } else if (!args.positional.empty()) {
        for (const Value& item : runtime.iterate(args.positional[0])->items) {
            const List* pair = runtime.iterate(item);
            if (!runtime.ok()) return {};
            if (pair->items.size != 2) return runtime.fail("a dict is made of pairs, not of %zu values", pair->items.size);
            runtime.set(*self.dict, pair->items[0], pair->items[1]);
        }
    }
    for (const NamedValue& named : args.named) runtime.set(*self.dict, Value::of(runtime.share_text(named.name)), named.value);
    return Value::none();
}

namespace {

constexpr BuiltinRow kDictMethods[] = {
    {"clear", dict_clear},
    {"copy", dict_copy},
    {"get", dict_get},
    {"items", dict_view<ListType::kItems>},
    {"keys", dict_view<ListType::kKeys>},
    {"pop", dict_pop},
    {"setdefault", dict_setdefault},
    {"update", dict_update},
    {"values", dict_view<ListType::kValues>},
};

}  // namespace

Builtin find_method(const Value& object, std::string_view name) {
    if (object.is_string()) return find_string_method(name);
    if (object.is_dict()) return find_row(kDictMethods, name);
    if (object.is(Kind::kLoop)) return find_row(kLoopMethods, name);
    if (!object.is_list()) return nullptr;
    if (object.list->type == ListType::kList) return find_row(kListMethods, name);
    return object.list->type == ListType::kTuple ? find_row(kTupleMethods, name) : nullptr;
}

}  // namespace ponder::jinja
