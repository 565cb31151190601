// SPDX-License-Identifier: Apache-2.0
// State of one render: memory, the budget of steps and depth, the first error, and Python's basic operations on values.
#pragma once

#include <cstring>
#include <ctime>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "text/template_arena.hpp"
#include "text/template_value.hpp"

namespace ponder::jinja {

// Text under construction outside the arena: what a template or a macro has printed so far.
struct Output {
    std::string bytes;
    std::vector<TextSpan> marks;
};

// The first error sticks: after it ok() is false, every operation is a no-op that returns an undefined value or an empty text, and
// every loop must stop. Nothing that an operation returns is null, except where it says so.
class Runtime {
  public:
    explicit Runtime(const std::tm& local_time) : local_time_(local_time) {}
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    // ---- errors and budgets
    bool ok() const { return !failed_; }
    const Error& error() const { return error_; }
    [[gnu::format(printf, 2, 3)]] Value fail(const char* format, ...);
    Value fail_limit(const char* what, uint64_t limit);
    void set_line(int line) { line_ = line; }

    // Counts work; false (and an error) past kMaxTemplateSteps.
    bool step(uint64_t n = 1) {
        steps_ += n;
        if (steps_ > limits::kMaxTemplateSteps && ok()) fail_limit("steps", limits::kMaxTemplateSteps);
        return ok();
    }
    bool step_bytes(size_t n) { return step(n / 64 + 1); }       // copied or searched
    bool step_characters(size_t n) { return step(n / 16 + 1); }  // bytes walked by code points

    // Counts one level of recursion for as long as it lives.
    class Nesting {
      public:
        explicit Nesting(Runtime& runtime);
        ~Nesting() { --runtime_.depth_; }
        explicit operator bool() const { return runtime_.ok(); }

      private:
        Runtime& runtime_;
    };

    // ---- memory
    // Small objects are always made; at the memory limit the error is set, and the callers' loops stop.
    template <class T>
    T* make() {
        void* memory = objects_.allocate(sizeof(T), alignof(T));
        return memory ? new (memory) T() : new (fallback(sizeof(T))) T();
    }
    char* make_bytes(size_t size);  // null at the memory limit
    template <class T>
    void push(ArenaArray<T>& array, const T& item) {
        if (array.size == array.capacity && !reserve(array, array.capacity ? array.capacity * 2 : 4)) return;
        array.data[array.size++] = item;
    }
    template <class T>
    bool reserve(ArenaArray<T>& array, size_t capacity);
    bool extend_bytes(const char* data, size_t old_size, size_t new_size) { return bytes_.extend(data, old_size, new_size); }
    void shrink_bytes(const char* data, size_t old_size, size_t new_size) { bytes_.shrink(data, old_size, new_size); }

    // ---- printing; the bytes count against the limits of output and memory
    void print(Output& out, const Text& text);
    void release(const Output& out) { budget_.release(out.bytes.size() + out.marks.size() * sizeof(TextSpan)); }

    // ---- making values
    const Text* make_text(std::string_view bytes);                                         // copies; trusted
    const Text* share_text(std::string_view bytes, std::span<const TextSpan> marks = {});  // borrows
    Value make_string(std::string_view bytes) { return Value::of(make_text(bytes)); }
    List* make_list(ListType type = ListType::kList);
    Value undefined(std::string_view name, const char* owner = nullptr);
    Value bind(std::string_view name, Builtin function, const Value& self);

    // ---- Python's operations; errors are type errors
    bool is_true(const Value& value) const;
    bool is_equal(const Value& a, const Value& b);
    bool is_less(const Value& a, const Value& b);
    bool contains(const Value& container, const Value& item);
    int64_t length(const Value& value);
    // The elements that iteration gives; the list itself if it is one, so it must not be changed.
    List* iterate(const Value& value);
    Value get_item(const Value& object, const Value& key);
    Value get_attribute(const Value& object, std::string_view name);
    // By a path as filters take it: "a.b.0", or an integer.
    Value get_path(const Value& object, const Value& path);
    Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);

    // str(): strings are themselves; marks are kept in what contains strings.
    const Text* to_text(const Value& value);

    // ---- dicts; keys must be hashable
    Value* find(Dict& dict, const Value& key);  // null if absent
    Value* find(Dict& dict, std::string_view key);
    void set(Dict& dict, const Value& key, const Value& value);

    // ---- filters and tests by name
    Value apply_filter(std::string_view name, const Value& value, const Args& args);
    bool apply_test(std::string_view name, const Value& value, const Args& args);

    const std::tm& local_time() const { return local_time_; }

  private:
    void* fallback(size_t bytes);
    bool is_hashable(const Value& key) const;
    Value get_loop_attribute(const Value& loop, std::string_view name);
    Value get_index(const Value& object, int64_t index);

    MemoryBudget budget_{limits::kMaxTemplateMemoryBytes};
    Arena objects_{budget_};
    Arena bytes_{budget_};  // contents of strings, apart from the objects so that a string can grow in place
    std::vector<std::unique_ptr<std::byte[]>> fallbacks_;
    std::tm local_time_;
    uint64_t steps_ = 0;
    int depth_ = 0;
    int line_ = 1;
    Error error_;
    bool failed_ = false;
};

template <class T>
bool Runtime::reserve(ArenaArray<T>& array, size_t capacity) {
    if (capacity <= array.capacity) return true;
    if (capacity > limits::kMaxTemplateMemoryBytes / sizeof(T))
        return fail_limit("bytes of memory", limits::kMaxTemplateMemoryBytes), false;
    Arena& arena = sizeof(T) == 1 ? bytes_ : objects_;
    if (array.data && arena.extend(array.data, array.capacity * sizeof(T), capacity * sizeof(T))) {
        array.capacity = capacity;
        return true;
    }
    T* data = static_cast<T*>(arena.allocate(capacity * sizeof(T), alignof(T)));
    if (!data) return fail_limit("bytes of memory", limits::kMaxTemplateMemoryBytes), false;
    static_assert(std::is_trivially_copyable_v<T>);
    if (array.data && array.size) std::memcpy(static_cast<void*>(data), array.data, array.size * sizeof(T));
    array.data = data;
    array.capacity = capacity;
    return true;
}

const char* type_name(const Value& value);

// Reads a builtin's arguments into `out` by position or name; out[i] stays as it was where argument i is not given. The first
// `n_required` must be given. An error names `what` and the argument.
bool read_args(Runtime& runtime, const char* what, const Args& args, std::initializer_list<std::string_view> names, size_t n_required,
               Value* out);

// Tables of the builtins; null if there is none of that name.
Builtin find_filter(std::string_view name);
Builtin find_test(std::string_view name);
Builtin find_global(std::string_view name);
Builtin find_method(const Value& object, std::string_view name);
Builtin find_string_method(std::string_view name);
Builtin find_text_filter(std::string_view name);
Builtin find_list_filter(std::string_view name);

template <size_t n>
Builtin find_row(const BuiltinRow (&rows)[n], std::string_view name) {
    for (const BuiltinRow& row : rows) {
        if (row.name == name) return row.function;
    }
    return nullptr;
}

}  // namespace ponder::jinja
