// SPDX-License-Identifier: Apache-2.0
// Values of a render: small handles into the render's arena, and strings that know which of their bytes a user wrote.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "text/text_span.hpp"

namespace ponder::jinja {

struct Expr;
struct Stmt;
class Runtime;
struct Value;

// An immutable string. Bytes belong to the arena, the template or the context; slices share them.
struct Text {
    std::string_view bytes;
    std::span<const TextSpan> marks;  // untrusted byte ranges: sorted, disjoint, not touching; empty if all bytes are trusted
};

enum class Kind : uint8_t { kUndefined, kNone, kBool, kInt, kNatural, kFloat, kString, kList, kDict, kNamespace, kCallable, kLoop };

struct List;
struct Dict;
struct Callable;
struct Loop;

// What an undefined value was meant to be, for the message when it is used.
struct Missing {
    std::string_view name;
    const char* owner;  // type of the object without this attribute or element; null for a variable
};

struct Value {
    Kind kind = Kind::kUndefined;
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;  // kNatural: an integer of the context above int64's range; it can be printed and compared
        double real;
        const Text* text;
        List* list;
        Dict* dict;  // kDict and kNamespace
        Callable* callable;
        Loop* loop;
        const Missing* missing = nullptr;  // may be null
    };

    static Value none() { return with(Kind::kNone); }
    static Value of(bool b) {
        return with(Kind::kBool, [&](Value& v) { v.boolean = b; });
    }
    static Value of(int64_t i) {
        return with(Kind::kInt, [&](Value& v) { v.integer = i; });
    }
    static Value of(double d) {
        return with(Kind::kFloat, [&](Value& v) { v.real = d; });
    }
    static Value of(const Text* t) {
        return with(Kind::kString, [&](Value& v) { v.text = t; });
    }
    static Value of(List* l) {
        return with(Kind::kList, [&](Value& v) { v.list = l; });
    }
    static Value of(Dict* d) {
        return with(Kind::kDict, [&](Value& v) { v.dict = d; });
    }
    static Value of(Callable* c) {
        return with(Kind::kCallable, [&](Value& v) { v.callable = c; });
    }
    static Value of(Loop* l) {
        return with(Kind::kLoop, [&](Value& v) { v.loop = l; });
    }

    bool is(Kind k) const { return kind == k; }
    bool is_undefined() const { return kind == Kind::kUndefined; }
    bool is_none() const { return kind == Kind::kNone; }
    bool is_string() const { return kind == Kind::kString; }
    bool is_list() const { return kind == Kind::kList; }
    bool is_dict() const { return kind == Kind::kDict; }
    bool is_integer() const { return kind == Kind::kInt || kind == Kind::kBool; }  // as in Python, True is 1
    bool is_number() const { return is_integer() || kind == Kind::kNatural || kind == Kind::kFloat; }
    int64_t as_integer() const { return kind == Kind::kBool ? boolean : integer; }
    double as_double() const {
        return kind == Kind::kFloat ? real : kind == Kind::kNatural ? static_cast<double>(natural) : static_cast<double>(as_integer());
    }

  private:
    static Value with(Kind k) {
        Value v;
        v.kind = k;
        return v;
    }
    template <class Set>
    static Value with(Kind k, Set set) {
        Value v = with(k);
        set(v);
        return v;
    }
};

// A growing array in the arena. Growth can fail at the memory limit; the failure is the runtime's, and the item is dropped.
template <class T>
struct ArenaArray {
    T* data = nullptr;
    size_t size = 0;
    size_t capacity = 0;

    T* begin() const { return data; }
    T* end() const { return data + size; }
    T& operator[](size_t i) const { return data[i]; }
    std::span<T> span() const { return {data, size}; }
};

enum class ListType : uint8_t { kList, kTuple, kRange, kKeys, kValues, kItems };

struct List {
    ArenaArray<Value> items;
    ListType type = ListType::kList;
    int64_t start = 0, stop = 0, step = 1;  // kRange: how it prints
    bool is_group = false;                  // a pair of the groupby filter: its members have names
};

struct DictEntry {
    Value key, value;
};

// Keeps insertion order; lookups are linear, which suits the handful of keys that messages have, and are charged as steps.
struct Dict {
    ArenaArray<DictEntry> entries;
};

struct NamedValue {
    std::string_view name;
    Value value;
};

struct Args {
    std::span<const Value> positional;
    std::span<const NamedValue> named;
};

// Filters, tests, methods and functions alike: `self` is the piped value or the object; tests return a bool.
using Builtin = Value (*)(Runtime& runtime, const Value& self, const Args& args);

struct BuiltinRow {
    std::string_view name;
    Builtin function;
};

// Variables of one scope: macros keep the frame that they were defined in.
struct Frame {
    Frame* parent = nullptr;
    ArenaArray<NamedValue> variables;
    bool is_captured = false;  // a macro refers to it, so a loop must not reuse it
};

struct Callable {
    std::string_view name;
    Builtin function = nullptr;  // a builtin with `self`, or
    Value self;
    const Stmt* macro = nullptr;  // a macro or call block with its scope, or
    Frame* closure = nullptr;
    Loop* loop = nullptr;  // a recursive loop, called for another level
};

struct Loop {
    Value items;  // a list
    size_t index = 0;
    int64_t depth = 1;
    Value last_changed;  // what loop.changed was called with
    bool has_changed = false;
    const Stmt* statement = nullptr;
    Frame* frame = nullptr;
};

}  // namespace ponder::jinja
