// SPDX-License-Identifier: Apache-2.0
// Arithmetic with Python's meaning: floor division, mixed numbers, repetition; integers are limited to 64 bits.
#include "text/template_operators.hpp"

#include <cmath>
#include <limits>

#include "text/template_text.hpp"

namespace ponder::jinja {
namespace {

constexpr const char* kOpNames[] = {"+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};

const char* name_of(Op op) { return kOpNames[static_cast<size_t>(op)]; }

Value fail_types(Runtime& runtime, Op op, const Value& a, const Value& b) {
    if (a.is_undefined()) return runtime.get_attribute(a, name_of(op));  // its message names what is missing
    if (b.is_undefined()) return runtime.get_attribute(b, name_of(op));
    return runtime.fail("unsupported operands for %s: '%s' and '%s'", name_of(op), type_name(a), type_name(b));
}

Value fail_overflow(Runtime& runtime) { return runtime.fail_limit("bits for an integer", 64); }

// Python rounds quotients down, C++ towards zero.
int64_t floor_divide(int64_t a, int64_t b) {
    const int64_t quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

// The sign of a remainder is the divisor's.
double floor_modulo(double a, double b) {
    const double rest = std::fmod(a, b);
    if (rest == 0) return std::copysign(0.0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

// By squaring; the square of the last step may overflow unused.
Value power(Runtime& runtime, int64_t base, int64_t exponent) {
    if (exponent < 0) {
        if (base == 0) return runtime.fail("zero to a negative power");
        return Value::of(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    }
    int64_t result = 1;
    for (bool is_overflown = false; exponent != 0; exponent >>= 1) {
        if (is_overflown) return fail_overflow(runtime);
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return fail_overflow(runtime);
        is_overflown = __builtin_mul_overflow(base, base, &base);
    }
    return Value::of(result);
}

Value integer_arithmetic(Runtime& runtime, Op op, int64_t a, int64_t b) {
    int64_t result = 0;
    if (b == 0 && (op == Op::kDiv || op == Op::kFloorDiv || op == Op::kMod)) return runtime.fail("division by zero");
    if (a == std::numeric_limits<int64_t>::min() && b == -1 && (op == Op::kFloorDiv || op == Op::kMod)) {
        return op == Op::kMod ? Value::of(int64_t{0}) : fail_overflow(runtime);
    }
    switch (op) {
        case Op::kAdd:
            return __builtin_add_overflow(a, b, &result) ? fail_overflow(runtime) : Value::of(result);
        case Op::kSub:
            return __builtin_sub_overflow(a, b, &result) ? fail_overflow(runtime) : Value::of(result);
        case Op::kMul:
            return __builtin_mul_overflow(a, b, &result) ? fail_overflow(runtime) : Value::of(result);
        case Op::kDiv:
            return Value::of(static_cast<double>(a) / static_cast<double>(b));
        case Op::kFloorDiv:
            return Value::of(floor_divide(a, b));
        case Op::kMod:
            return Value::of(a - floor_divide(a, b) * b);
        default:
            return power(runtime, a, b);
    }
}

Value float_arithmetic(Runtime& runtime, Op op, double a, double b) {
    if (b == 0 && (op == Op::kDiv || op == Op::kFloorDiv || op == Op::kMod)) return runtime.fail("division by zero");
    switch (op) {
        case Op::kAdd:
            return Value::of(a + b);
        case Op::kSub:
            return Value::of(a - b);
        case Op::kMul:
            return Value::of(a * b);
        case Op::kDiv:
            return Value::of(a / b);
        case Op::kFloorDiv:
            return Value::of(std::floor((a - floor_modulo(a, b)) / b + 0.5));
        case Op::kMod:
            return Value::of(floor_modulo(a, b));
        default:
            break;
    }
    const double result = std::pow(a, b);
    if (a == 0 && b < 0) return runtime.fail("zero to a negative power");
    if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) return runtime.fail("power out of range");
    return std::isnan(result) && !std::isnan(a) && !std::isnan(b) ? runtime.fail("power of a negative number is not real")
                                                                  : Value::of(result);
}

Value concat_lists(Runtime& runtime, const List& a, const List& b) {
    List* out = runtime.make_list(a.type);
    if (!runtime.reserve(out->items, a.items.size + b.items.size) || !runtime.step((a.items.size + b.items.size) / 16 + 1)) return {};
    for (const Value& item : a.items) runtime.push(out->items, item);
    for (const Value& item : b.items) runtime.push(out->items, item);
    return Value::of(out);
}

// The size is known beforehand, so a product that cannot fit fails before anything is made.
Value repeat(Runtime& runtime, const Value& sequence, int64_t count) {
    const size_t size = sequence.is_string() ? sequence.text->bytes.size() : sequence.list->items.size * sizeof(Value);
    const size_t n = count > 0 ? static_cast<size_t>(count) : 0;
    if (size != 0 && n > limits::kMaxTemplateMemoryBytes / size)
        return runtime.fail_limit("bytes of memory", limits::kMaxTemplateMemoryBytes);
    if (size == 0 || n == 0) return sequence.is_string() ? runtime.make_string({}) : Value::of(runtime.make_list(sequence.list->type));
    if (sequence.is_string()) {
        TextBuilder out(runtime, size * n);
        for (size_t i = 0; i < n && runtime.step(); ++i) out.append(*sequence.text);
        return Value::of(out.finish());
    }
    List* out = runtime.make_list(sequence.list->type);
    if (!runtime.reserve(out->items, n * sequence.list->items.size)) return {};
    for (size_t i = 0; i < n && runtime.step(sequence.list->items.size / 16 + 1); ++i) {
        for (const Value& item : sequence.list->items) runtime.push(out->items, item);
    }
    return Value::of(out);
}

bool is_plain_list(const Value& v) { return v.is_list() && (v.list->type == ListType::kList || v.list->type == ListType::kTuple); }

}  // namespace

Value add(Runtime& runtime, const Value& a, const Value& b) { return apply_arithmetic(runtime, Op::kAdd, a, b); }

Value apply_arithmetic(Runtime& runtime, Op op, const Value& a, const Value& b) {
    if (a.is_integer() && b.is_integer()) return integer_arithmetic(runtime, op, a.as_integer(), b.as_integer());
    if (a.is_number() && b.is_number()) {
        if (!a.is(Kind::kFloat) && !b.is(Kind::kFloat)) return fail_overflow(runtime);
        return float_arithmetic(runtime, op, a.as_double(), b.as_double());
    }
    if (op == Op::kAdd && a.is_string() && b.is_string()) return Value::of(concat(runtime, *a.text, *b.text));
    if (op == Op::kAdd && is_plain_list(a) && is_plain_list(b) && a.list->type == b.list->type)
        return concat_lists(runtime, *a.list, *b.list);
    if (op == Op::kMul && (a.is_string() || is_plain_list(a)) && b.is_integer()) return repeat(runtime, a, b.as_integer());
    if (op == Op::kMul && (b.is_string() || is_plain_list(b)) && a.is_integer()) return repeat(runtime, b, a.as_integer());
    if (op == Op::kMod && a.is_string()) return Value::of(format_percent(runtime, *a.text, b));
    return fail_types(runtime, op, a, b);
}

bool apply_comparison(Runtime& runtime, Op op, const Value& a, const Value& b) {
    if (op == Op::kEq) return runtime.is_equal(a, b);
    if (op == Op::kNe) return !runtime.is_equal(a, b) && runtime.ok();
    if (op == Op::kIn) return runtime.contains(b, a);
    if (op == Op::kNotIn) return !runtime.contains(b, a) && runtime.ok();
    if (a.is_undefined() || b.is_undefined()) return fail_types(runtime, op, a, b), false;
    if (op == Op::kLt) return runtime.is_less(a, b);
    if (op == Op::kGt) return runtime.is_less(b, a);
    const bool is_less = op == Op::kLe ? runtime.is_less(a, b) : runtime.is_less(b, a);
    return runtime.ok() && (is_less || runtime.is_equal(a, b));
}

Value negate(Runtime& runtime, const Value& value) {
    if (value.is(Kind::kFloat)) return Value::of(-value.real);
    if (value.is_integer()) return integer_arithmetic(runtime, Op::kSub, 0, value.as_integer());
    return fail_types(runtime, Op::kSub, value, value);
}

Value keep_sign(Runtime& runtime, const Value& value) {
    if (value.is(Kind::kFloat) || value.is(Kind::kNatural)) return value;
    return value.is_integer() ? Value::of(value.as_integer()) : fail_types(runtime, Op::kAdd, value, value);
}

}  // namespace ponder::jinja
