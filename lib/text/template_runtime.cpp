// SPDX-License-Identifier: Apache-2.0
// Errors, budgets and memory of a render.
#include "text/template_runtime.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "base/utf8.hpp"
#include "text/template_text.hpp"

namespace ponder::jinja {

Runtime::Nesting::Nesting(Runtime& runtime) : runtime_(runtime) {
    if (++runtime_.depth_ > limits::kMaxTemplateCallDepth)
        runtime_.fail_limit("levels of calls and nested values", limits::kMaxTemplateCallDepth);
}

Value Runtime::fail(const char* format, ...) {
    if (failed_) return {};
    failed_ = true;
    constexpr size_t kMaxMessageBytes = 1'000;
    char message[kMaxMessageBytes];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    std::string_view text = message;
    while (!text.empty() && !is_utf8(text.substr(text.size() - std::min<size_t>(text.size(), 4))) && !is_utf8(text)) {
        text.remove_suffix(1);  // vsnprintf may have cut a character
    }
    error_ = make_error(PONDER_STATUS_TEMPLATE, "line %d: %.*s", line_, static_cast<int>(text.size()), text.data());
    return {};
}

Value Runtime::fail_limit(const char* what, uint64_t limit) {
    if (failed_) return {};
    failed_ = true;
    error_ = make_error(PONDER_STATUS_LIMIT, "line %d: the chat template needs more than %llu %s", line_,
                        static_cast<unsigned long long>(limit), what);
    return {};
}

// After the memory limit only the few objects that unwinding code asks for are made here.
void* Runtime::fallback(size_t bytes) {
    fail_limit("bytes of memory", limits::kMaxTemplateMemoryBytes);
    fallbacks_.push_back(std::make_unique<std::byte[]>(bytes));
    return fallbacks_.back().get();
}

char* Runtime::make_bytes(size_t size) {
    char* data = static_cast<char*>(bytes_.allocate(size, 1));
    if (!data) fail_limit("bytes of memory", limits::kMaxTemplateMemoryBytes);
    return data;
}

// Marks move behind what was printed before and join the last one where they touch.
void Runtime::print(Output& out, const Text& text) {
    if (!step_bytes(text.bytes.size())) return;
    if (text.bytes.size() > limits::kMaxTemplateOutputBytes - out.bytes.size()) {
        fail_limit("bytes of output", limits::kMaxTemplateOutputBytes);
        return;
    }
    const size_t n_old_marks = out.marks.size();
    const size_t base = out.bytes.size();
    for (const TextSpan& mark : text.marks) {
        add_mark(
            base + mark.begin, base + mark.end, [&] { return out.marks.empty() ? nullptr : &out.marks.back(); },
            [&](const TextSpan& m) { out.marks.push_back(m); });
    }
    if (!budget_.charge(text.bytes.size() + (out.marks.size() - n_old_marks) * sizeof(TextSpan))) {
        out.marks.resize(n_old_marks);  // so that release() gives back what was charged
        fail_limit("bytes of memory", limits::kMaxTemplateMemoryBytes);
        return;
    }
    out.bytes += text.bytes;
}

const Text* Runtime::share_text(std::string_view bytes, std::span<const TextSpan> marks) {
    Text* text = make<Text>();
    text->bytes = bytes;
    text->marks = marks;
    return text;
}

const Text* Runtime::make_text(std::string_view bytes) {
    char* data = step_bytes(bytes.size()) ? make_bytes(bytes.size()) : nullptr;
    if (!data) return share_text({});
    if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
    return share_text({data, bytes.size()});
}

List* Runtime::make_list(ListType type) {
    List* list = make<List>();
    list->type = type;
    return list;
}

Value Runtime::undefined(std::string_view name, const char* owner) {
    Missing* missing = make<Missing>();
    missing->name = name;
    missing->owner = owner;
    Value value;
    value.missing = missing;
    return value;
}

// A method with its object, so that it can be called later.
Value Runtime::bind(std::string_view name, Builtin function, const Value& self) {
    Callable* callable = make<Callable>();
    callable->name = name;
    callable->function = function;
    callable->self = self;
    return Value::of(callable);
}

// Looked up by name at each use: an unknown filter in a branch that is never taken does no harm.
Value Runtime::apply_filter(std::string_view name, const Value& value, const Args& args) {
    const Nesting nesting(*this);
    if (!nesting || !step()) return {};
    const Builtin filter = find_filter(name);
    if (!filter) return fail("no filter is named '%.*s'", static_cast<int>(std::min<size_t>(name.size(), 100)), name.data());
    const Value result = filter(*this, value, args);
    return ok() ? result : Value();
}

bool Runtime::apply_test(std::string_view name, const Value& value, const Args& args) {
    const Nesting nesting(*this);
    if (!nesting || !step()) return false;
    const Builtin test = find_test(name);
    if (!test) return fail("no test is named '%.*s'", static_cast<int>(std::min<size_t>(name.size(), 100)), name.data()), false;
    const Value result = test(*this, value, args);
    return ok() && is_true(result);
}

bool read_args(Runtime& runtime, const char* what, const Args& args, std::initializer_list<std::string_view> names, size_t n_required,
               Value* out) {
    constexpr size_t kMaxParameters = 16;
    bool is_given[kMaxParameters] = {};
    if (args.positional.size() > names.size()) {
        runtime.fail("%s takes at most %zu arguments (%zu given)", what, names.size(), args.positional.size());
        return false;
    }
    for (size_t i = 0; i < args.positional.size(); ++i) {
        out[i] = args.positional[i];
        is_given[i] = true;
    }
    for (const NamedValue& named : args.named) {
        const auto* found = std::find(names.begin(), names.end(), named.name);
        const size_t i = static_cast<size_t>(found - names.begin());
        if (found == names.end() || is_given[i]) {
            runtime.fail("%s got an unexpected or repeated argument '%.*s'", what,
                         static_cast<int>(std::min<size_t>(named.name.size(), 100)), named.name.data());
            return false;
        }
        out[i] = named.value;
        is_given[i] = true;
    }
    for (size_t i = 0; i < n_required; ++i) {
        if (is_given[i]) continue;
        const std::string_view name = *(names.begin() + i);
        runtime.fail("%s misses its argument '%.*s'", what, static_cast<int>(name.size()), name.data());
        return false;
    }
    return runtime.ok();
}

}  // namespace ponder::jinja
