// SPDX-License-Identifier: Apache-2.0
// Filters over sequences and mappings. Where Jinja2 makes a generator, these make a list.
#include <algorithm>
#include <utility>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

bool is_given(const Value& value) { return !value.is_none() && !value.is_undefined(); }

// The elements with the attribute of each, lower-cased unless case matters: what sort, unique, min, max and groupby compare.
struct Keyed {
    ArenaArray<Value> items, keys;
};

Value key_of(Runtime& runtime, const Value& item, const Value& attribute, const Value& fallback, bool is_case_sensitive) {
    Value key = is_given(attribute) ? runtime.get_path(item, attribute) : item;
    if (key.is_undefined() && is_given(fallback)) key = fallback;
    return is_case_sensitive ? key : ignore_case(runtime, key);
}

Keyed read_keyed(Runtime& runtime, const Value& self, const Value& attribute, bool is_case_sensitive, const Value& fallback = {}) {
    Keyed keyed;
    const List* source = runtime.iterate(self);
    for (size_t i = 0; i < source->items.size && runtime.step(); ++i) {
        runtime.push(keyed.items, source->items[i]);
        runtime.push(keyed.keys, key_of(runtime, source->items[i], attribute, fallback, is_case_sensitive));
    }
    if (!runtime.ok()) return {};
    return keyed;
}

// Takes the array over; nobody else keeps it.
Value list_of(Runtime& runtime, const ArenaArray<Value>& items) {
    List* list = runtime.make_list();
    list->items = items;
    return Value::of(list);
}

Value filter_length(Runtime& runtime, const Value& self, const Args&) { return Value::of(runtime.length(self)); }

Value filter_list(Runtime& runtime, const Value& self, const Args&) {
    ArenaArray<Value> items;
    const List* source = runtime.iterate(self);
    if (!runtime.reserve(items, source->items.size) || !runtime.step(source->items.size / 16 + 1)) return {};
    for (const Value& item : source->items) runtime.push(items, item);
    return list_of(runtime, items);
}

Value filter_first(Runtime& runtime, const Value& self, const Args&) {
    if (self.is_string()) return runtime.get_item(self, Value::of(int64_t{0}));
    const List* list = runtime.iterate(self);
    return list->items.size ? list->items[0] : runtime.undefined("first item");
}

Value filter_last(Runtime& runtime, const Value& self, const Args&) {
    const List* list = runtime.iterate(self);
    return list->items.size ? list->items[list->items.size - 1] : runtime.undefined("last item");
}

// Replaces what is undefined; with `boolean` also what is merely false.
Value filter_default(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {runtime.make_string({}), Value::of(false)};
    if (!read_args(runtime, "default", args, {"default_value", "boolean"}, 0, arguments)) return {};
    return self.is_undefined() || (runtime.is_true(arguments[1]) && !runtime.is_true(self)) ? arguments[0] : self;
}

Value filter_join(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {runtime.make_string({}), Value::none()};
    if (!read_args(runtime, "join", args, {"d", "attribute"}, 0, arguments)) return {};
    const Keyed keyed = read_keyed(runtime, self, arguments[1], true);
    return Value::of(join(runtime, *runtime.to_text(arguments[0]), keyed.keys.span(), false));
}

Value filter_reverse(Runtime& runtime, const Value& self, const Args&) {
    const Value none = Value::none();
    if (self.is_string()) return runtime.slice(self, none, none, Value::of(int64_t{-1}));
    const Value list = filter_list(runtime, self, Args{});
    if (list.is_list()) std::reverse(list.list->items.begin(), list.list->items.end());
    return list;
}

// 'a,b' sorts by a, then b.
Value filter_sort(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {Value::of(false), Value::of(false), Value::none()};
    if (!read_args(runtime, "sort", args, {"reverse", "case_sensitive", "attribute"}, 0, arguments)) return {};
    const bool is_case_sensitive = runtime.is_true(arguments[1]);
    const bool has_many = arguments[2].is_string() && arguments[2].text->bytes.find(',') != std::string_view::npos;
    Keyed keyed = read_keyed(runtime, self, has_many ? Value::none() : arguments[2], has_many || is_case_sensitive);
    for (size_t i = 0; has_many && i < keyed.items.size && runtime.step(); ++i) {  // "a,b": a list of keys
        List* keys = runtime.make_list();
        const Text& paths = *arguments[2].text;
        for (size_t at = 0; at <= paths.bytes.size() && runtime.step();) {
            const size_t end = std::min(paths.bytes.find(',', at), paths.bytes.size());
            runtime.push(keys->items, key_of(runtime, keyed.items[i], cut_value(runtime, paths, at, end), {}, is_case_sensitive));
            at = end + 1;
        }
        keyed.keys[i] = Value::of(keys);
    }
    if (runtime.ok()) sort_by(runtime, keyed.items.span(), keyed.keys.span(), runtime.is_true(arguments[0]));
    return list_of(runtime, keyed.items);
}

Value filter_dictsort(Runtime& runtime, const Value& self, const Args& args) {
    const Text by_key{"key", {}};
    Value arguments[3] = {Value::of(false), Value::of(&by_key), Value::of(false)};
    if (!read_args(runtime, "dictsort", args, {"case_sensitive", "by", "reverse"}, 0, arguments)) return {};
    if (!self.is_dict()) return runtime.fail("dictsort needs a mapping, not '%s'", type_name(self));
    const std::string_view by = arguments[1].is_string() ? arguments[1].text->bytes : "";
    if (by != "key" && by != "value") return runtime.fail("dictsort sorts by key or by value");
    const Value items = find_method(self, "items")(runtime, self, Args{});
    Keyed keyed = read_keyed(runtime, items, Value::of(int64_t{by == "key" ? 0 : 1}), runtime.is_true(arguments[0]));
    if (runtime.ok()) sort_by(runtime, keyed.items.span(), keyed.keys.span(), runtime.is_true(arguments[2]));
    return list_of(runtime, keyed.items);
}

bool has_value(Runtime& runtime, const ArenaArray<Value>& values, const Value& wanted) {
    return std::any_of(values.begin(), values.end(), [&](const Value& value) { return runtime.is_equal(value, wanted); });
}

// By comparing with all before: the number of comparisons is charged, which bounds it.
Value filter_unique(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {Value::of(false), Value::none()};
    if (!read_args(runtime, "unique", args, {"case_sensitive", "attribute"}, 0, arguments)) return {};
    const Keyed keyed = read_keyed(runtime, self, arguments[1], runtime.is_true(arguments[0]));
    ArenaArray<Value> seen, items;
    for (size_t i = 0; i < keyed.items.size && runtime.step(); ++i) {
        if (has_value(runtime, seen, keyed.keys[i])) continue;
        runtime.push(seen, keyed.keys[i]);
        runtime.push(items, keyed.items[i]);
    }
    return list_of(runtime, items);
}

template <bool wants_max>
Value filter_extreme(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {Value::of(false), Value::none()};
    if (!read_args(runtime, wants_max ? "max" : "min", args, {"case_sensitive", "attribute"}, 0, arguments)) return {};
    const Keyed keyed = read_keyed(runtime, self, arguments[1], runtime.is_true(arguments[0]));
    if (keyed.items.size == 0) return runtime.undefined("aggregated item");
    size_t best = 0;
    for (size_t i = 1; i < keyed.items.size && runtime.ok(); ++i) {
        const Value &a = keyed.keys[i], &b = keyed.keys[best];
        if (wants_max ? runtime.is_less(b, a) : runtime.is_less(a, b)) best = i;
    }
    return keyed.items[best];
}

Value filter_sum(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {Value::none(), Value::of(int64_t{0})};
    if (!read_args(runtime, "sum", args, {"attribute", "start"}, 0, arguments)) return {};
    const Keyed keyed = read_keyed(runtime, self, arguments[0], true);
    Value total = arguments[1];
    for (size_t i = 0; i < keyed.keys.size && runtime.ok(); ++i) total = add(runtime, total, keyed.keys[i]);
    return total;
}

// Equal keys without regard to case form one group, which shows the first one's spelling.
Value filter_groupby(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[3] = {{}, Value::none(), Value::of(false)};
    if (!read_args(runtime, "groupby", args, {"attribute", "default", "case_sensitive"}, 1, arguments)) return {};
    Keyed keyed = read_keyed(runtime, self, arguments[0], runtime.is_true(arguments[2]), arguments[1]);
    if (runtime.ok()) sort_by(runtime, keyed.items.span(), keyed.keys.span(), false);
    ArenaArray<Value> groups;
    for (size_t i = 0; i < keyed.items.size && runtime.step(); ++i) {
        if (i == 0 || !runtime.is_equal(keyed.keys[i - 1], keyed.keys[i])) {
            List* group = runtime.make_list(ListType::kTuple);
            group->is_group = true;
            runtime.push(group->items, key_of(runtime, keyed.items[i], arguments[0], arguments[1], true));
            runtime.push(group->items, Value::of(runtime.make_list()));
            runtime.push(groups, Value::of(group));
        }
        if (runtime.ok()) runtime.push(groups[groups.size - 1].list->items[1].list->items, keyed.items[i]);
    }
    return list_of(runtime, groups);
}

Value filter_items(Runtime& runtime, const Value& self, const Args&) {
    if (self.is_undefined()) return Value::of(runtime.make_list());
    if (!self.is_dict()) return runtime.fail("items needs a mapping, not '%s'", type_name(self));
    return find_method(self, "items")(runtime, self, Args{});
}

// The attribute alone, never a member: that is what sets it apart from a dot.
Value filter_attr(Runtime& runtime, const Value& self, const Args& args) {
    Value name;
    if (!read_args(runtime, "attr", args, {"name"}, 1, &name)) return {};
    if (!name.is_string()) return runtime.fail("attr needs a name, not '%s'", type_name(name));
    if (self.is_dict() && !find_method(self, name.text->bytes)) return runtime.undefined(name.text->bytes, "dict");
    return runtime.get_attribute(self, name.text->bytes);
}

Value filter_batch(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {{}, Value::none()};
    if (!read_args(runtime, "batch", args, {"linecount", "fill_with"}, 1, arguments)) return {};
    if (!arguments[0].is_integer() || arguments[0].as_integer() < 1) return runtime.fail("batch needs a positive integer");
    const auto n_each = static_cast<size_t>(arguments[0].as_integer());
    const List* source = runtime.iterate(self);
    ArenaArray<Value> batches;
    for (size_t i = 0; i < source->items.size && runtime.step(); ++i) {
        if (i % n_each == 0) runtime.push(batches, Value::of(runtime.make_list()));
        if (runtime.ok()) runtime.push(batches[batches.size - 1].list->items, source->items[i]);
    }
    while (runtime.step() && batches.size && !arguments[1].is_none() && batches[batches.size - 1].list->items.size < n_each) {
        runtime.push(batches[batches.size - 1].list->items, arguments[1]);
    }
    return list_of(runtime, batches);
}

// Columns: the first ones are longer by one where the items do not divide evenly.
Value filter_slice(Runtime& runtime, const Value& self, const Args& args) {
    Value arguments[2] = {{}, Value::none()};
    if (!read_args(runtime, "slice", args, {"slices", "fill_with"}, 1, arguments)) return {};
    if (!arguments[0].is_integer() || arguments[0].as_integer() < 1) return runtime.fail("slice needs a positive integer");
    const auto n_slices = static_cast<size_t>(arguments[0].as_integer());
    const List* source = runtime.iterate(self);
    const size_t n_each = source->items.size / n_slices, n_longer = source->items.size % n_slices;
    ArenaArray<Value> slices;
    for (size_t i = 0, at = 0; i < n_slices && runtime.step(); ++i) {
        List* part = runtime.make_list();
        const size_t end = at + n_each + (i < n_longer ? 1 : 0);
        for (; at < end; ++at) runtime.push(part->items, source->items[at]);
        if (i >= n_longer && !arguments[1].is_none()) runtime.push(part->items, arguments[1]);
        runtime.push(slices, Value::of(part));
    }
    return list_of(runtime, slices);
}

// ---- map, select and their kin

Value filter_map(Runtime& runtime, const Value& self, const Args& args) {
    ArenaArray<Value> out;
    const List* source = runtime.iterate(self);
    Value arguments[2] = {Value::none(), Value::none()};
    const bool by_attribute = args.positional.empty() && !args.named.empty();
    if (by_attribute && !read_args(runtime, "map", args, {"attribute", "default"}, 1, arguments)) return {};
    if (!by_attribute && (args.positional.empty() || !args.positional[0].is_string()))
        return runtime.fail("map needs the name of a filter");
    for (size_t i = 0; i < source->items.size && runtime.step(); ++i) {
        const Value& item = source->items[i];
        runtime.push(out, by_attribute
                              ? key_of(runtime, item, arguments[0], arguments[1], true)
                              : runtime.apply_filter(args.positional[0].text->bytes, item, {args.positional.subspan(1), args.named}));
    }
    return list_of(runtime, out);
}

template <bool by_attribute, bool is_rejecting>
Value filter_select(Runtime& runtime, const Value& self, const Args& args) {
    ArenaArray<Value> out;
    const List* source = runtime.iterate(self);
    constexpr size_t kTestAt = by_attribute ? 1 : 0;
    if (args.positional.size() < kTestAt) return runtime.fail("selectattr and rejectattr need the name of an attribute");
    const bool has_test = args.positional.size() > kTestAt;
    if (has_test && !args.positional[kTestAt].is_string()) return runtime.fail("select and reject need the name of a test");
    for (size_t i = 0; i < source->items.size && runtime.step(); ++i) {
        const Value item = source->items[i];
        const Value tested = by_attribute ? runtime.get_path(item, args.positional[0]) : item;
        const bool passes =
            has_test ? runtime.apply_test(args.positional[kTestAt].text->bytes, tested, {args.positional.subspan(kTestAt + 1), args.named})
                     : runtime.is_true(tested);
        if (passes != is_rejecting) runtime.push(out, item);
    }
    return list_of(runtime, out);
}

constexpr BuiltinRow kFilters[] = {
    {"length", filter_length},
    {"count", filter_length},
    {"list", filter_list},
    {"first", filter_first},
    {"last", filter_last},
    {"default", filter_default},
    {"d", filter_default},
    {"join", filter_join},
    {"items", filter_items},
    {"map", filter_map},
    {"select", filter_select<false, false>},
    {"reject", filter_select<false, true>},
    {"selectattr", filter_select<true, false>},
    {"rejectattr", filter_select<true, true>},
    {"attr", filter_attr},
    {"reverse", filter_reverse},
    {"sort", filter_sort},
    {"dictsort", filter_dictsort},
    {"unique", filter_unique},
    {"min", filter_extreme<false>},
    {"max", filter_extreme<true>},
    {"sum", filter_sum},
    {"groupby", filter_groupby},
    {"batch", filter_batch},
    {"slice", filter_slice},
};

}  // namespace

Builtin find_list_filter(std::string_view name) { return find_row(kFilters, name); }

Builtin find_filter(std::string_view name) {
    const Builtin text_filter = find_text_filter(name);
    return text_filter ? text_filter : find_list_filter(name);
}

}  // namespace ponder::jinja
