// SPDX-License-Identifier: Apache-2.0
// The expression half of the template parser: precedence, literals, calls, filters and tests.
#include <algorithm>

#include "text/template_parser.hpp"

namespace ponder::jinja {

ExprPtr ExpressionParser::parse_expression(bool with_conditional) {
    ExprPtr value = parse_or();
    while (ok() && with_conditional && skip_name("if")) {
        ExprPtr node = make(ExprKind::kConditional, std::move(value));
        add(node, parse_or());
        add(node, ok() && skip_name("else") ? parse_other_value() : nullptr);
        value = std::move(node);
    }
    return ok() ? std::move(value) : nullptr;
}

ExprPtr ExpressionParser::parse_other_value() {
    const Nesting nesting(*this);
    return nesting ? parse_expression() : nullptr;
}

ExprPtr ExpressionParser::parse_or() {
    ExprPtr first = parse_and();
    if (!ok() || !is_name("or")) return first;
    ExprPtr node = make(ExprKind::kOr, std::move(first));
    while (ok() && skip_name("or")) add(node, parse_and());
    return node;
}

ExprPtr ExpressionParser::parse_and() {
    ExprPtr first = parse_not();
    if (!ok() || !is_name("and")) return first;
    ExprPtr node = make(ExprKind::kAnd, std::move(first));
    while (ok() && skip_name("and")) add(node, parse_not());
    return node;
}

// not binds looser than comparisons.
ExprPtr ExpressionParser::parse_not() {
    if (!is_name("not")) return parse_compare();
    const Nesting nesting(*this);
    if (!nesting) return nullptr;
    ExprPtr node = make(ExprKind::kNot);
    advance();
    add(node, parse_not());
    return node;
}

bool ExpressionParser::match_comparison(Op& op) {
    struct Row {
        std::string_view text;
        Op op;
    };
    constexpr Row kRows[] = {{"==", Op::kEq}, {"!=", Op::kNe}, {"<", Op::kLt}, {"<=", Op::kLe}, {">", Op::kGt}, {">=", Op::kGe}};
    for (const Row& row : kRows) {
        if (skip_operator(row.text)) return op = row.op, true;
    }
    if (skip_name("in")) return op = Op::kIn, true;
    if (!is_name("not") || next().kind != TokenKind::kName || next().text != "in") return false;
    advance();
    advance();
    return op = Op::kNotIn, true;
}

ExprPtr ExpressionParser::parse_compare() {
    ExprPtr first = parse_sum();
    Op op{};
    if (!ok() || !match_comparison(op)) return first;
    ExprPtr node = make(ExprKind::kCompare, std::move(first));
    do {
        node->ops.push_back(op);
        add(node, parse_sum());
    } while (ok() && match_comparison(op));
    return node;
}

// Chains of one precedence are one flat node: a template that adds a hundred pieces is not a hundred levels deep.
ExprPtr ExpressionParser::parse_sum() {
    ExprPtr first = parse_concat();
    if (!ok() || !(is_operator("+") || is_operator("-"))) return first;
    ExprPtr node = make(ExprKind::kArithmetic, std::move(first));
    while (ok() && (is_operator("+") || is_operator("-"))) {
        node->ops.push_back(is_operator("+") ? Op::kAdd : Op::kSub);
        advance();
        add(node, parse_concat());
    }
    return node;
}

// ~ binds tighter than + and -: Jinja2's order, not Python's.
ExprPtr ExpressionParser::parse_concat() {
    ExprPtr first = parse_product();
    if (!ok() || !is_operator("~")) return first;
    ExprPtr node = make(ExprKind::kConcat, std::move(first));
    while (ok() && skip_operator("~")) add(node, parse_product());
    return node;
}

ExprPtr ExpressionParser::parse_product() {
    const auto match = [this](Op& op) {
        if (skip_operator("*")) return op = Op::kMul, true;
        if (skip_operator("/")) return op = Op::kDiv, true;
        if (skip_operator("//")) return op = Op::kFloorDiv, true;
        if (skip_operator("%")) return op = Op::kMod, true;
        return false;
    };
    ExprPtr first = parse_power();
    Op op{};
    if (!ok() || !match(op)) return first;
    ExprPtr node = make(ExprKind::kArithmetic, std::move(first));
    do {
        node->ops.push_back(op);
        add(node, parse_power());
    } while (ok() && match(op));
    return node;
}

// Jinja2's ** binds to the left, unlike Python's.
ExprPtr ExpressionParser::parse_power() {
    ExprPtr first = parse_unary();
    if (!ok() || !is_operator("**")) return first;
    ExprPtr node = make(ExprKind::kArithmetic, std::move(first));
    while (ok() && skip_operator("**")) {
        node->ops.push_back(Op::kPow);
        add(node, parse_unary());
    }
    return node;
}

// Filters bind to the signed value, so -1|abs is 1; tests too.
ExprPtr ExpressionParser::parse_unary(bool with_filters) {
    const Nesting nesting(*this);
    if (!nesting) return nullptr;
    ExprPtr value;
    if (is_operator("-") || is_operator("+")) {
        value = make(is_operator("-") ? ExprKind::kNegative : ExprKind::kPositive);
        advance();
        add(value, parse_unary(false));
    } else {
        value = parse_primary();
    }
    if (ok()) value = parse_postfix(std::move(value));
    return ok() && with_filters ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExprPtr ExpressionParser::parse_primary() {
    const Token& token = current();
    if (token.kind == TokenKind::kName) {
        const bool is_true = token.text == "true" || token.text == "True";
        ExprPtr node = make(ExprKind::kLiteral);
        if (is_true || token.text == "false" || token.text == "False") {
            node->literal = is_true;
        } else if (token.text != "none" && token.text != "None") {
            node->kind = ExprKind::kName;
            node->name = std::string(token.text);
            special_names_.varargs |= node->name == "varargs";
            special_names_.kwargs |= node->name == "kwargs";
            special_names_.caller |= node->name == "caller";
        }
        advance();
        return node;
    }
    if (token.kind == TokenKind::kString || token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) return parse_literal();
    if (skip_operator("(")) {
        ExprPtr value = parse_tuple(true, {}, true);
        return ok() && expect_operator(")") ? std::move(value) : nullptr;
    }
    if (is_operator("[")) return parse_list();
    if (is_operator("{")) return parse_dict();
    return fail_unexpected();
}

ExprPtr ExpressionParser::parse_literal() {
    ExprPtr node = make(ExprKind::kLiteral);
    if (current().kind != TokenKind::kString) {
        Result<Literal> number = parse_number_literal(current());
        if (!number) return fail(std::move(number.error()));
        node->literal = std::move(*number);
        advance();
        return node;
    }
    std::string text;
    for (; ok() && current().kind == TokenKind::kString; advance()) {  // adjacent strings are one
        Result<std::string> part = parse_string_literal(current());
        if (!part) return fail(std::move(part.error()));
        text += *part;
    }
    node->literal = std::move(text);
    return node;
}

bool ExpressionParser::is_tuple_end(std::string_view end_name) const {
    const TokenKind kind = current().kind;
    if (kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd || is_operator(")")) return true;
    return !end_name.empty() && is_name(end_name);
}

ExprPtr ExpressionParser::parse_tuple(bool with_conditional, std::string_view end_name, bool has_parentheses) {
    ExprPtr tuple = make(ExprKind::kTuple);
    bool is_tuple = false;
    while (ok() && !is_tuple_end(end_name)) {
        add(tuple, parse_expression(with_conditional));
        if (!ok() || !skip_operator(",")) break;
        is_tuple = true;
    }
    if (!ok()) return nullptr;
    if (is_tuple) return tuple;
    if (!tuple->items.empty()) return std::move(tuple->items[0]);
    return has_parentheses ? std::move(tuple) : fail_unexpected();
}

// true, false and none cannot be assigned; every other name can.
ExprPtr ExpressionParser::parse_one_target(bool with_namespace) {
    const Nesting nesting(*this);
    if (!nesting) return nullptr;
    if (skip_operator("(")) {
        ExprPtr inner = parse_target({}, with_namespace);
        return ok() && expect_operator(")") ? std::move(inner) : nullptr;
    }
    ExprPtr node = make(ExprKind::kName);
    node->name = expect_name();
    constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kConstants), std::end(kConstants), node->name) != std::end(kConstants))
        return fail("cannot assign to a constant");
    if (ok() && with_namespace && skip_operator(".")) {
        node->kind = ExprKind::kNamespaceRef;
        add(node, make(ExprKind::kLiteral));
        node->items[0]->literal = expect_name();
    }
    return node;
}

ExprPtr ExpressionParser::parse_target(std::string_view end_name, bool with_namespace) {
    ExprPtr tuple = make(ExprKind::kTuple);
    bool is_tuple = false;
    while (ok() && !is_tuple_end(end_name)) {
        add(tuple, parse_one_target(with_namespace));
        if (!ok() || !skip_operator(",")) break;
        is_tuple = true;
    }
    if (!ok()) return nullptr;
    if (tuple->items.empty()) return fail_unexpected();
    return is_tuple ? std::move(tuple) : std::move(tuple->items[0]);
}

ExprPtr ExpressionParser::parse_list() {
    ExprPtr node = make(ExprKind::kList);
    advance();
    while (ok() && !is_operator("]")) {
        add(node, parse_expression());
        if (!ok() || !skip_operator(",")) break;
    }
    return ok() && expect_operator("]") ? std::move(node) : nullptr;
}

ExprPtr ExpressionParser::parse_dict() {
    ExprPtr node = make(ExprKind::kDict);
    advance();
    while (ok() && !is_operator("}")) {
        add(node, parse_expression());
        if (!ok() || !expect_operator(":")) return nullptr;
        add(node, parse_expression());
        if (!ok() || !skip_operator(",")) break;
    }
    return ok() && expect_operator("}") ? std::move(node) : nullptr;
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr value) {
    while (ok()) {
        if (!is_operator(".") && !is_operator("[") && !is_operator("(")) return value;
        value = is_operator("(") ? parse_call(std::move(value)) : parse_subscript(std::move(value));
    }
    return nullptr;
}

ExprPtr ExpressionParser::parse_filters_and_tests(ExprPtr value) {
    while (ok()) {
        if (!is_operator("|") && !is_name("is") && !is_operator("(")) return value;
        if (skip_operator("|")) {
            value = parse_one_filter(std::move(value));
        } else {
            value = is_operator("(") ? parse_call(std::move(value)) : parse_test(std::move(value));
        }
    }
    return nullptr;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr value, bool is_first_inline) {
    while (ok() && (is_first_inline || skip_operator("|"))) {
        is_first_inline = false;
        value = parse_one_filter(std::move(value));
    }
    return ok() ? std::move(value) : nullptr;
}

std::string ExpressionParser::parse_dotted_name() {
    std::string name = expect_name();
    while (ok() && skip_operator(".")) name += "." + expect_name();
    return name;
}

ExprPtr ExpressionParser::parse_one_filter(ExprPtr value) {
    ExprPtr node = make(ExprKind::kFilter, std::move(value));
    node->name = parse_dotted_name();
    if (ok() && is_operator("(")) parse_arguments(node);
    return node;
}

// `is name`, `is name argument` or `is name(arguments)`; else, or and and end a test without an argument.
ExprPtr ExpressionParser::parse_test(ExprPtr value) {
    advance();
    ExprPtr node = make(ExprKind::kTest, std::move(value));
    const bool is_negated = skip_name("not");
    node->name = parse_dotted_name();
    if (!ok()) return nullptr;
    const TokenKind kind = current().kind;
    const bool is_value = kind == TokenKind::kName || kind == TokenKind::kString || kind == TokenKind::kInteger ||
                          kind == TokenKind::kFloat || is_operator("[") || is_operator("{");
    if (is_operator("(")) {
        parse_arguments(node);
    } else if (is_value && !is_name("else") && !is_name("or") && !is_name("and")) {
        if (is_name("is")) return fail("tests cannot be chained with 'is'");
        ExprPtr argument = parse_primary();
        if (!ok()) return nullptr;
        add_argument(node, {Argument::Kind::kPositional, {}, parse_postfix(std::move(argument))});
    }
    return is_negated ? make(ExprKind::kNot, std::move(node)) : std::move(node);
}

// a.0 is a[0].
ExprPtr ExpressionParser::parse_subscript(ExprPtr value) {
    if (skip_operator(".")) {
        if (current().kind != TokenKind::kInteger) {
            ExprPtr node = make(ExprKind::kAttribute, std::move(value));
            node->name = expect_name();
            return node;
        }
        ExprPtr node = make(ExprKind::kSubscript, std::move(value));
        add(node, parse_literal());
        return node;
    }
    advance();
    ExprPtr node = make(ExprKind::kSubscript, std::move(value));
    ExprPtr parts[3];
    int n_colons = 0;
    for (; ok() && n_colons < 3; ++n_colons) {
        if (!is_operator(":") && !is_operator("]")) parts[n_colons] = parse_expression();
        if (!ok() || n_colons == 2 || !skip_operator(":")) break;
    }
    if (!ok() || !expect_operator("]")) return nullptr;
    if (n_colons == 0) {
        if (!parts[0]) return fail("empty subscript");
        add(node, std::move(parts[0]));
        return node;
    }
    node->kind = ExprKind::kSlice;
    for (ExprPtr& part : parts) add(node, std::move(part));
    return node;
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
    ExprPtr node = make(ExprKind::kCall, std::move(callee));
    parse_arguments(node);
    return node;
}

// Python's order: positional, then *list and named, then **mapping.
void ExpressionParser::parse_arguments(ExprPtr& node) {
    if (!expect_operator("(")) return;
    auto latest = Argument::Kind::kPositional;  // kinds must come in the order of the enum, and each star once
    while (ok() && !is_operator(")")) {
        Argument argument;
        if (skip_operator("*")) {
            argument.kind = Argument::Kind::kStar;
        } else if (skip_operator("**")) {
            argument.kind = Argument::Kind::kStarStar;
        } else if (current().kind == TokenKind::kName && next().kind == TokenKind::kOperator && next().text == "=") {
            argument.kind = Argument::Kind::kNamed;
            argument.name = expect_name();
            advance();
        }
        const bool is_star = argument.kind == Argument::Kind::kStar || argument.kind == Argument::Kind::kStarStar;
        const bool is_named_after_star = argument.kind == Argument::Kind::kNamed && latest == Argument::Kind::kStar;
        if ((argument.kind < latest && !is_named_after_star) || (is_star && argument.kind == latest)) {
            fail("arguments of a call in the wrong order");
            break;
        }
        latest = std::max(latest, argument.kind);
        argument.value = parse_expression();
        add_argument(node, std::move(argument));
        if (!ok() || !skip_operator(",")) break;
    }
    expect_operator(")");
}

}  // namespace ponder::jinja
