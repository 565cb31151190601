// SPDX-License-Identifier: Apache-2.0
// Expressions to values.
#include "text/template_eval.hpp"
#include "text/template_operators.hpp"

namespace ponder::jinja {

// Depth is counted here once for all kinds: every recursion of an expression passes through eval().
Value Evaluator::eval(const Expr& expr) {
    const Runtime::Nesting nesting(runtime_);
    if (!nesting || !runtime_.step()) return {};
    runtime_.set_line(expr.line);
    Value result;
    switch (expr.kind) {
        case ExprKind::kLiteral:
            return eval_literal(expr);
        case ExprKind::kName:
            return look_up(expr.name);
        case ExprKind::kList:
            result = eval_items(expr, ListType::kList);
            break;
        case ExprKind::kTuple:
            result = eval_items(expr, ListType::kTuple);
            break;
        case ExprKind::kDict:
            result = eval_dict(expr);
            break;
        case ExprKind::kArithmetic:
            result = eval_arithmetic(expr);
            break;
        case ExprKind::kConcat:
            result = eval_concat(expr);
            break;
        case ExprKind::kCompare:
            result = eval_comparison(expr);
            break;
        case ExprKind::kAnd:
        case ExprKind::kOr:
            result = eval_and_or(expr);
            break;
        case ExprKind::kNot:
            result = Value::of(!runtime_.is_true(eval(*expr.items[0])));
            break;
        case ExprKind::kNegative:
        case ExprKind::kPositive: {
            const Value operand = eval(*expr.items[0]);
            if (!runtime_.ok()) return {};
            result = expr.kind == ExprKind::kNegative ? negate(runtime_, operand) : keep_sign(runtime_, operand);
            break;
        }
        case ExprKind::kConditional: {
            const bool is_met = runtime_.is_true(eval(*expr.items[1]));
            if (!runtime_.ok()) return {};
            if (is_met) return eval(*expr.items[0]);
            result = expr.items[2] ? eval(*expr.items[2]) : runtime_.undefined("conditional without else");
            break;
        }
        case ExprKind::kAttribute: {
            const Value object = eval(*expr.items[0]);
            if (runtime_.ok()) result = runtime_.get_attribute(object, expr.name);
            break;
        }
        case ExprKind::kSubscript: {
            const Value object = eval(*expr.items[0]);
            const Value key = runtime_.ok() ? eval(*expr.items[1]) : Value();
            if (runtime_.ok()) result = runtime_.get_item(object, key);
            break;
        }
        case ExprKind::kSlice:
            result = eval_slice(expr);
            break;
        case ExprKind::kCall:
            result = eval_call(expr);
            break;
        case ExprKind::kFilter:
            result = eval_filter(expr);
            break;
        case ExprKind::kTest: {
            const Value value = eval(*expr.items[0]);
            const Args args = runtime_.ok() ? eval_arguments(expr.arguments) : Args{};
            result = Value::of(runtime_.ok() && runtime_.apply_test(expr.name, value, args));
            break;
        }
        case ExprKind::kNamespaceRef:
            break;  // only a target, never read
    }
    return runtime_.ok() ? result : Value();
}

// The bytes stay in the tree, which outlives the render.
Value Evaluator::eval_literal(const Expr& expr) {
    if (const auto* text = std::get_if<std::string>(&expr.literal)) return Value::of(runtime_.share_text(*text));
    if (const auto* boolean = std::get_if<bool>(&expr.literal)) return Value::of(*boolean);
    if (const auto* integer = std::get_if<int64_t>(&expr.literal)) return Value::of(*integer);
    if (const auto* real = std::get_if<double>(&expr.literal)) return Value::of(*real);
    return Value::none();
}

Value Evaluator::eval_items(const Expr& expr, ListType type) {
    List* list = runtime_.make_list(type);
    if (!runtime_.reserve(list->items, expr.items.size())) return {};
    for (const ExprPtr& item : expr.items) {
        runtime_.push(list->items, eval(*item));
        if (!runtime_.ok()) return {};
    }
    return Value::of(list);
}

// A key given twice keeps its first place and its last value, as in Python.
Value Evaluator::eval_dict(const Expr& expr) {
    Dict* dict = runtime_.make<Dict>();
    for (size_t i = 0; i + 1 < expr.items.size() && runtime_.ok(); i += 2) {
        const Value key = eval(*expr.items[i]);
        const Value value = runtime_.ok() ? eval(*expr.items[i + 1]) : Value();
        if (runtime_.ok()) runtime_.set(*dict, key, value);
    }
    return Value::of(dict);
}

Value Evaluator::eval_arithmetic(const Expr& expr) {
    Value left = eval(*expr.items[0]);
    for (size_t i = 0; i < expr.ops.size() && runtime_.ok(); ++i) {
        const Value right = eval(*expr.items[i + 1]);
        if (runtime_.ok()) left = apply_arithmetic(runtime_, expr.ops[i], left, right);
    }
    return left;
}

// Unlike +, ~ takes any value; left-growing, so that concat() can extend its own result in place.
Value Evaluator::eval_concat(const Expr& expr) {
    const Text* text = nullptr;
    for (const ExprPtr& item : expr.items) {
        const Value value = eval(*item);
        if (!runtime_.ok()) return {};
        const Text* part = runtime_.to_text(value);
        text = text ? concat(runtime_, *text, *part) : part;
    }
    return Value::of(text);
}

// a < b < c evaluates b once and stops at the first comparison that fails.
Value Evaluator::eval_comparison(const Expr& expr) {
    Value left = eval(*expr.items[0]);
    for (size_t i = 0; i < expr.ops.size() && runtime_.ok(); ++i) {
        const Value right = eval(*expr.items[i + 1]);
        if (!runtime_.ok() || !apply_comparison(runtime_, expr.ops[i], left, right)) return Value::of(false);
        left = right;
    }
    return Value::of(true);
}

// As in Python, the value that decided.
Value Evaluator::eval_and_or(const Expr& expr) {
    Value value;
    for (const ExprPtr& item : expr.items) {
        value = eval(*item);
        if (!runtime_.ok() || runtime_.is_true(value) == (expr.kind == ExprKind::kOr)) break;
    }
    return value;
}

// An absent bound is none, which is what Python's slice object holds.
Value Evaluator::eval_slice(const Expr& expr) {
    const Value object = eval(*expr.items[0]);
    Value bounds[3];
    for (size_t i = 0; i < 3; ++i) bounds[i] = runtime_.ok() ? eval_or_none(expr.items[i + 1].get()) : Value();
    return runtime_.ok() ? runtime_.slice(object, bounds[0], bounds[1], bounds[2]) : Value();
}

Value Evaluator::eval_filter(const Expr& expr) {
    const Value captured = captured_;  // a block among the arguments could set another
    const Value value = expr.items[0] ? eval(*expr.items[0]) : captured;
    if (!runtime_.ok()) return {};
    const Args args = eval_arguments(expr.arguments);
    return runtime_.ok() ? runtime_.apply_filter(expr.name, value, args) : Value();
}

Value Evaluator::eval_call(const Expr& expr) {
    const Value callee = eval(*expr.items[0]);
    if (!runtime_.ok()) return {};
    const Args args = eval_arguments(expr.arguments);
    runtime_.set_line(expr.line);
    return runtime_.ok() ? call(callee, args) : Value();
}

// Names are compared by walking, which is charged for: calls have a handful of arguments.
Args Evaluator::eval_arguments(const std::vector<Argument>& arguments, const Value* caller) {
    ArenaArray<Value> positional;
    ArenaArray<NamedValue> named;
    const auto add_named = [&](std::string_view name, const Value& value) {
        if (!runtime_.step(named.size / 16)) return;
        for (const NamedValue& other : named) {
            if (other.name == name) {
                runtime_.fail("argument '%.*s' is given twice", static_cast<int>(std::min<size_t>(name.size(), 100)), name.data());
                return;
            }
        }
        runtime_.push(named, NamedValue{name, value});
    };
    for (const Argument& argument : arguments) {
        const Value value = eval(*argument.value);
        if (!runtime_.ok()) return {};
        if (argument.kind == Argument::Kind::kPositional) {
            runtime_.push(positional, value);
        } else if (argument.kind == Argument::Kind::kNamed) {
            add_named(argument.name, value);
        } else if (argument.kind == Argument::Kind::kStar) {
            const List* items = runtime_.iterate(value);
            for (size_t i = 0; i < items->items.size && runtime_.step(); ++i) runtime_.push(positional, items->items[i]);
        } else if (!value.is_dict()) {
            return runtime_.fail("'**' needs a mapping, not '%s'", type_name(value)), Args{};
        } else {
            for (size_t i = 0; i < value.dict->entries.size && runtime_.step(); ++i) {
                const DictEntry& entry = value.dict->entries[i];
                if (!entry.key.is_string()) return runtime_.fail("'**' needs a mapping with string keys"), Args{};
                add_named(entry.key.text->bytes, entry.value);
            }
        }
    }
    if (caller) add_named("caller", *caller);
    return runtime_.ok() ? Args{positional.span(), named.span()} : Args{};
}

}  // namespace ponder::jinja
