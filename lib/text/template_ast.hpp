// SPDX-License-Identifier: Apache-2.0
// The parsed form of a template: plain trees that the evaluator walks; nothing in them changes after parsing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace ponder::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;

enum class ExprKind : uint8_t {
    kLiteral,      // literal
    kName,         // name
    kList,         // items
    kTuple,        // items
    kDict,         // items: key, value, key, value, ...
    kArithmetic,   // items[0] ops[0] items[1] ops[1] ..., of one precedence, from left to right
    kConcat,       // items joined by ~
    kCompare,      // items[0] ops[0] items[1] ..., chained as in Python
    kAnd,          // items
    kOr,           // items
    kNot,          // items[0]
    kNegative,     // items[0]
    kPositive,     // items[0]
    kConditional,  // items: value, condition, other value (null if there is no else)
    kAttribute,    // items[0].name
    kSubscript,    // items[0][items[1]]
    kSlice,        // items: object, start, stop, step; the last three may be null
    kCall,         // items[0](arguments)
    kFilter,       // items[0]|name(arguments); a null items[0] is the captured text of a block
    kTest,         // items[0] is name(arguments)
    kNamespaceRef  // name.member, only as an assignment target: name and items[0] (a kLiteral string)
};

enum class Op : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow, kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

// none, true/false, an integer, a float or a string
using Literal = std::variant<std::monostate, bool, int64_t, double, std::string>;

struct Argument {
    enum class Kind : uint8_t { kPositional, kNamed, kStar, kStarStar };
    Kind kind = Kind::kPositional;
    std::string name;
    ExprPtr value;
};

struct Expr {
    ExprKind kind;
    int line;
    int depth = 1;  // levels of the tree from here down
    std::string name;
    Literal literal;
    std::vector<ExprPtr> items;
    std::vector<Op> ops;
    std::vector<Argument> arguments;
};

enum class StmtKind : uint8_t {
    kText,      // text
    kOutput,    // expr
    kIf,        // conditions[i] -> bodies[i]; one more body than conditions is the else
    kFor,       // for target in expr if filter: bodies[0] else bodies[1]
    kSet,       // target = expr
    kSetBlock,  // target = bodies[0] rendered, through the filters of expr (null if none)
    kMacro,     // text(parameters): bodies[0]
    kCall,      // call(parameters) expr: bodies[0]
    kFilter,    // bodies[0] rendered, through the filters of expr
    kWith,      // parameters as variables around bodies[0]; a parameter's target may be a tuple
    kScope,     // bodies[0] (generation blocks)
    kBreak,
    kContinue
};

struct Parameter {
    ExprPtr target;  // kName, or kTuple in a with block
    ExprPtr value;   // a macro's default or a with block's value; null if none
};

struct Stmt {
    StmtKind kind;
    int line;
    std::string text;
    ExprPtr target, expr, filter;
    std::vector<ExprPtr> conditions;
    std::vector<Body> bodies;
    std::vector<Parameter> parameters;
    bool is_recursive = false;

    // Macros and call blocks: which of the names for what no parameter takes occur inside.
    bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};

}  // namespace ponder::jinja
