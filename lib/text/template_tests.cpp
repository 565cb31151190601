// SPDX-License-Identifier: Apache-2.0
// The tests that follow "is".
#include "text/template_operators.hpp"
#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

template <bool (*predicate)(const Value&)>
Value test_kind(Runtime&, const Value& self, const Args&) {
    return Value::of(predicate(self));
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_not_defined(const Value& v) { return v.is_undefined(); }
bool is_nothing(const Value& v) { return v.is_none(); }
bool is_text(const Value& v) { return v.is_string(); }
bool is_any_number(const Value& v) { return v.is_number(); }
bool is_whole_number(const Value& v) { return v.is(Kind::kInt) || v.is(Kind::kNatural); }
bool is_real_number(const Value& v) { return v.is(Kind::kFloat); }
bool is_boolean(const Value& v) { return v.is(Kind::kBool); }
bool is_yes(const Value& v) { return v.is(Kind::kBool) && v.boolean; }
bool is_no(const Value& v) { return v.is(Kind::kBool) && !v.boolean; }
bool is_mapping(const Value& v) { return v.is_dict(); }
bool is_callable(const Value& v) { return v.is(Kind::kCallable) || (v.is(Kind::kLoop) && v.loop->statement); }
bool is_iterable(const Value& v) { return v.is_string() || v.is_list() || v.is_dict() || v.is_undefined() || v.is(Kind::kLoop); }
bool is_never(const Value&) { return false; }

bool is_sequence(const Value& v) {  // what has a length and elements; Jinja2 counts mappings and undefined values in
    const bool is_view =
        v.is_list() && (v.list->type == ListType::kKeys || v.list->type == ListType::kValues || v.list->type == ListType::kItems);
    return v.is_string() || (v.is_list() && !is_view) || v.is_dict() || v.is_undefined();
}

template <Op op>
Value test_compare(Runtime& runtime, const Value& self, const Args& args) {
    Value other;
    if (!read_args(runtime, "test", args, {"other"}, 1, &other)) return {};
    return Value::of(apply_comparison(runtime, op, self, other));
}

// Identity is only visible for lists and dicts; other values have none here, so equal ones are the same.
Value test_sameas(Runtime& runtime, const Value& self, const Args& args) {
    Value other;
    if (!read_args(runtime, "sameas", args, {"other"}, 1, &other)) return {};
    if (self.kind != other.kind) return Value::of(false);
    if (self.is_list()) return Value::of(self.list == other.list);
    if (self.is_dict()) return Value::of(self.dict == other.dict);
    return Value::of(runtime.is_equal(self, other));
}

// By the operator, so that floats and type errors are its own.
Value remainder(Runtime& runtime, const Value& self, const Value& divisor) { return apply_arithmetic(runtime, Op::kMod, self, divisor); }

template <int64_t rest>
Value test_parity(Runtime& runtime, const Value& self, const Args&) {
    return Value::of(runtime.is_equal(remainder(runtime, self, Value::of(int64_t{2})), Value::of(rest)));
}

Value test_divisible(Runtime& runtime, const Value& self, const Args& args) {
    Value divisor;
    if (!read_args(runtime, "divisibleby", args, {"num"}, 1, &divisor)) return {};
    return Value::of(runtime.is_equal(remainder(runtime, self, divisor), Value::of(int64_t{0})));
}

template <bool is_upper_case>
Value test_case(Runtime& runtime, const Value& self, const Args&) {
    const Value text = Value::of(runtime.to_text(self));
    return find_string_method(is_upper_case ? "isupper" : "islower")(runtime, text, Args{});
}

Value test_filter(Runtime&, const Value& self, const Args&) {
    return Value::of(self.is_string() && find_filter(self.text->bytes) != nullptr);
}

Value test_test(Runtime&, const Value& self, const Args&) { return Value::of(self.is_string() && find_test(self.text->bytes) != nullptr); }

constexpr BuiltinRow kTests[] = {
    {"defined", test_kind<is_defined>},
    {"none", test_kind<is_nothing>},
    {"string", test_kind<is_text>},
    {"mapping", test_kind<is_mapping>},
    {"iterable", test_kind<is_iterable>},
    {"sequence", test_kind<is_sequence>},
    {"undefined", test_kind<is_not_defined>},
    {"true", test_kind<is_yes>},
    {"false", test_kind<is_no>},
    {"boolean", test_kind<is_boolean>},
    {"number", test_kind<is_any_number>},
    {"integer", test_kind<is_whole_number>},
    {"float", test_kind<is_real_number>},
    {"callable", test_kind<is_callable>},
    {"escaped", test_kind<is_never>},
    {"eq", test_compare<Op::kEq>},
    {"==", test_compare<Op::kEq>},
    {"equalto", test_compare<Op::kEq>},
    {"ne", test_compare<Op::kNe>},
    {"!=", test_compare<Op::kNe>},
    {"lt", test_compare<Op::kLt>},
    {"<", test_compare<Op::kLt>},
    {"lessthan", test_compare<Op::kLt>},
    {"le", test_compare<Op::kLe>},
    {"<=", test_compare<Op::kLe>},
    {"gt", test_compare<Op::kGt>},
    {">", test_compare<Op::kGt>},
    {"greaterthan", test_compare<Op::kGt>},
    {"ge", test_compare<Op::kGe>},
    {">=", test_compare<Op::kGe>},
    {"in", test_compare<Op::kIn>},
    {"sameas", test_sameas},
    {"odd", test_parity<1>},
    {"even", test_parity<0>},
    {"divisibleby", test_divisible},
    {"lower", test_case<false>},
    {"upper", test_case<true>},
    {"filter", test_filter},
    {"test", test_test},
};

}  // namespace

Builtin find_test(std::string_view name) { return find_row(kTests, name); }

}  // namespace ponder::jinja
