// SPDX-License-Identifier: Apache-2.0
// Functions that every template has: Jinja2's, and those that Hugging Face adds for chat templates.
#include <cstdio>
#include <string>

#include "text/template_text.hpp"

namespace ponder::jinja {

Value dict_update(Runtime& runtime, const Value& self, const Args& args);

namespace {

// Made whole at once, which the limit of Jinja2's sandbox keeps small.
Value global_range(Runtime& runtime, const Value&, const Args& args) {
    if (args.positional.empty() || args.positional.size() > 3 || !args.named.empty())
        return runtime.fail("range takes one to three integers");
    for (const Value& value : args.positional) {
        if (!value.is_integer()) return runtime.fail("range takes integers, not '%s'", type_name(value));
    }
    List* out = runtime.make_list(ListType::kRange);
    const bool has_start = args.positional.size() > 1;
    out->start = has_start ? args.positional[0].as_integer() : 0;
    out->stop = args.positional[has_start ? 1 : 0].as_integer();
    out->step = args.positional.size() > 2 ? args.positional[2].as_integer() : 1;
    if (out->step == 0) return runtime.fail("range with a step of zero");
    const auto start = static_cast<uint64_t>(out->start), stop = static_cast<uint64_t>(out->stop), step = static_cast<uint64_t>(out->step);
    const bool is_rising = out->step > 0;  // unsigned from here on: differences of any two fit, and wrap as they should
    const bool is_empty = is_rising ? out->start >= out->stop : out->start <= out->stop;
    const uint64_t distance = is_rising ? stop - start : start - stop, stride = is_rising ? step : 0 - step;
    const uint64_t count = is_empty ? 0 : (distance - 1) / stride + 1;
    if (count > limits::kMaxTemplateRange) return runtime.fail_limit("elements of a range", limits::kMaxTemplateRange);
    if (!runtime.reserve(out->items, count)) return {};
    for (uint64_t i = 0; i < count && runtime.step(); ++i) runtime.push(out->items, Value::of(static_cast<int64_t>(start + i * step)));
    return Value::of(out);
}

Value global_dict(Runtime& runtime, const Value&, const Args& args) {
    const Value dict = Value::of(runtime.make<Dict>());
    dict_update(runtime, dict, args);
    return dict;
}

Value global_namespace(Runtime& runtime, const Value&, const Args& args) {
    Value value = global_dict(runtime, {}, args);
    value.kind = Kind::kNamespace;
    return value;
}

// The message is cut: it becomes a status text.
Value global_raise(Runtime& runtime, const Value&, const Args& args) {
    Value message;
    if (!read_args(runtime, "raise_exception", args, {"message"}, 1, &message)) return {};
    const std::string_view text = runtime.to_text(message)->bytes;
    return runtime.fail("%.*s", static_cast<int>(std::min<size_t>(text.size(), 900)), text.data());
}

constexpr const char* kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                   "July",    "August",   "September", "October", "November", "December"};
constexpr const char* kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

// One directive of strftime in the C locale, whatever the host's locale is; empty if there is no such directive.
std::string format_time(const std::tm& time, char directive, bool is_padded) {
    const auto number = [&](int value, int width) {
        char buffer[24];
        return std::string(buffer, static_cast<size_t>(std::snprintf(buffer, sizeof buffer, "%0*d", is_padded ? width : 1, value)));
    };
    const int hour12 = time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12;
    const std::string month = kMonths[static_cast<unsigned>(time.tm_mon) % 12], day = kDays[static_cast<unsigned>(time.tm_wday) % 7];
    switch (directive) {
        case 'Y':
            return number(time.tm_year + 1900, 1);
        case 'y':
            return number((time.tm_year + 1900) % 100, 2);
        case 'm':
            return number(time.tm_mon + 1, 2);
        case 'd':
            return number(time.tm_mday, 2);
        case 'e':
            return (time.tm_mday < 10 ? " " : "") + std::to_string(time.tm_mday);
        case 'H':
            return number(time.tm_hour, 2);
        case 'I':
            return number(hour12, 2);
        case 'M':
            return number(time.tm_min, 2);
        case 'S':
            return number(time.tm_sec, 2);
        case 'f':
            return "000000";
        case 'j':
            return number(time.tm_yday + 1, 3);
        case 'w':
            return number(time.tm_wday, 1);
        case 'u':
            return number(time.tm_wday == 0 ? 7 : time.tm_wday, 1);
        case 'p':
            return time.tm_hour < 12 ? "AM" : "PM";
        case 'B':
            return month;
        case 'b':
        case 'h':
            return month.substr(0, 3);
        case 'A':
            return day;
        case 'a':
            return day.substr(0, 3);
        case '%':
            return "%";
        default:
            return {};
    }
}

std::string_view expand_directive(char directive) {
    switch (directive) {
        case 'F':
            return "%Y-%m-%d";
        case 'T':
        case 'X':
            return "%H:%M:%S";
        case 'R':
            return "%H:%M";
        case 'D':
        case 'x':
            return "%m/%d/%y";
        case 'c':
            return "%a %b %e %H:%M:%S %Y";
        default:
            return {};
    }
}

void append_time(TextBuilder& out, const std::tm& time, std::string_view format) {
    for (size_t at = 0; at < format.size(); ++at) {
        if (format[at] != '%' || at + 1 >= format.size()) {
            out.append(format.substr(at, 1));
            continue;
        }
        const bool is_padded = format[at + 1] != '-' || at + 2 >= format.size();
        at += is_padded ? 1 : 2;
        const std::string_view expanded = expand_directive(format[at]);
        if (expanded.empty()) {
            out.append(format_time(time, format[at], is_padded));
        } else {
            append_time(out, time, expanded);
        }
    }
}

Value global_strftime_now(Runtime& runtime, const Value&, const Args& args) {
    Value format;
    if (!read_args(runtime, "strftime_now", args, {"format"}, 1, &format)) return {};
    if (!format.is_string()) return runtime.fail("strftime_now needs a string, not '%s'", type_name(format));
    if (!runtime.step(format.text->bytes.size())) return {};
    TextBuilder out(runtime);
    append_time(out, runtime.local_time(), format.text->bytes);
    const Text* text = out.finish();
    if (format.text->marks.empty()) return Value::of(text);
    const TextSpan whole{0, text->bytes.size()};  // a user's format: its pieces can no longer be told apart
    TextBuilder marked(runtime);
    marked.append(text->bytes.substr(whole.begin, whole.end), true);
    return Value::of(marked.finish());
}

// Nothing at the first call, the separator at all later ones.
Value call_joiner(Runtime& runtime, const Value& self, const Args&) {
    ArenaArray<Value>& state = self.list->items;  // separator, whether it was called before
    const bool is_first = !runtime.is_true(state[1]);
    state[1] = Value::of(true);
    return is_first ? runtime.make_string({}) : state[0];
}

Value global_joiner(Runtime& runtime, const Value&, const Args& args) {
    Value separator = runtime.make_string(", ");
    if (!read_args(runtime, "joiner", args, {"sep"}, 0, &separator)) return {};
    List* state = runtime.make_list();
    runtime.push(state->items, separator);
    runtime.push(state->items, Value::of(false));
    return runtime.ok() ? runtime.bind("joiner", call_joiner, Value::of(state)) : Value();
}

// State lies in the namespace, which a template can overwrite; so everything is looked at again.
Value cycler_move(Runtime& runtime, const Value& self, bool is_reset) {
    Value* items = runtime.find(*self.dict, "items");
    Value* position = runtime.find(*self.dict, "position");
    Value* current = runtime.find(*self.dict, "current");
    if (!items || !position || !current || !items->is_list() || !position->is_integer() || items->list->items.size == 0) {
        return runtime.fail("the cycler was changed");
    }
    const auto n = static_cast<uint64_t>(items->list->items.size);
    const uint64_t at = is_reset ? 0 : static_cast<uint64_t>(position->as_integer());
    const Value now = items->list->items[at % n];
    *position = Value::of(static_cast<int64_t>(is_reset ? 0 : (at + 1) % n));
    *current = items->list->items[(is_reset ? 0 : at + 1) % n];
    return now;
}

Value call_cycler_next(Runtime& runtime, const Value& self, const Args&) { return cycler_move(runtime, self, false); }

Value call_cycler_reset(Runtime& runtime, const Value& self, const Args&) {
    cycler_move(runtime, self, true);
    return Value::none();
}

Value global_cycler(Runtime& runtime, const Value&, const Args& args) {
    if (args.positional.empty()) return runtime.fail("cycler needs something to cycle through");
    List* items = runtime.make_list(ListType::kTuple);  // a tuple, so that no template can change it
    for (const Value& item : args.positional) runtime.push(items->items, item);
    Value cycler = Value::of(runtime.make<Dict>());
    cycler.kind = Kind::kNamespace;
    const auto add = [&](std::string_view name, const Value& value) {
        runtime.set(*cycler.dict, Value::of(runtime.share_text(name)), value);
    };
    add("items", Value::of(items));
    add("position", Value::of(int64_t{0}));
    add("current", args.positional[0]);
    add("next", runtime.bind("next", call_cycler_next, cycler));
    add("reset", runtime.bind("reset", call_cycler_reset, cycler));
    return cycler;
}

constexpr BuiltinRow kGlobals[] = {
    {"range", global_range},
    {"dict", global_dict},
    {"namespace", global_namespace},
    {"raise_exception", global_raise},
    {"strftime_now", global_strftime_now},
    {"joiner", global_joiner},
    {"cycler", global_cycler},
};

}  // namespace

Builtin find_global(std::string_view name) { return find_row(kGlobals, name); }

}  // namespace ponder::jinja
