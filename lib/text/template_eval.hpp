// SPDX-License-Identifier: Apache-2.0
// Walks a parsed template: statements print, expressions give values.
#pragma once

#include "text/template_ast.hpp"
#include "text/template_text.hpp"

namespace ponder::jinja {

class Evaluator {
  public:
    // variables: the context's; they and `runtime` outlive the evaluator.
    Evaluator(Runtime& runtime, Frame* variables) : runtime_(runtime), frame_(variables) {}

    // Prints the template into `out`; whether it went well is the runtime's to say.
    void run(const Body& body, Output& out);

  private:
    enum class Flow { kNext, kBreak, kContinue };

    // ---- statements (template_eval.cpp)
    Flow run_body(const Body& body);
    Flow run_stmt(const Stmt& stmt);
    Flow run_if(const Stmt& stmt);
    Flow run_for(const Stmt& stmt, const Value& iterable, Frame* parent, int64_t depth);
    List* filter_items(const Stmt& stmt, const List* items, Frame* parent);
    void run_set(const Stmt& stmt);
    void run_call_block(const Stmt& stmt);
    void run_with(const Stmt& stmt);
    void print(const Value& value);

    // What `body` prints, as a text.
    const Text* capture(const Body& body);
    template <class Run>
    const Text* capture_run(Run run);

    // ---- variables
    Frame* make_frame(Frame* parent);
    Value look_up(std::string_view name);
    void assign(const Expr& target, const Value& value);
    void set_variable(Frame& frame, std::string_view name, const Value& value);
    Value make_macro(const Stmt& stmt);

    // ---- expressions (template_eval_expr.cpp)
    Value eval(const Expr& expr);
    Value eval_or_none(const Expr* expr) { return expr ? eval(*expr) : Value::none(); }
    Value eval_literal(const Expr& expr);
    Value eval_items(const Expr& expr, ListType type);
    Value eval_dict(const Expr& expr);
    Value eval_arithmetic(const Expr& expr);
    Value eval_concat(const Expr& expr);
    Value eval_comparison(const Expr& expr);
    Value eval_and_or(const Expr& expr);
    Value eval_slice(const Expr& expr);
    Value eval_filter(const Expr& expr);
    Value eval_call(const Expr& expr);

    // Arguments with * and ** unpacked; the arrays lie in the arena.
    Args eval_arguments(const std::vector<Argument>& arguments, const Value* caller = nullptr);
    Value call(const Value& callee, const Args& args);
    Value call_macro(const Callable& callable, const Args& args);
    bool bind_parameters(const Stmt& macro, const Args& args, Frame& frame);
    bool bind_extras(const Stmt& macro, const Args& args, ArenaArray<NamedValue>& extra, Frame& frame);

    Runtime& runtime_;
    Frame* frame_;
    Output* out_ = nullptr;
    Value captured_;  // the text that the filters of a filter or set block start from
};

}  // namespace ponder::jinja
