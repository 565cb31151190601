// SPDX-License-Identifier: Apache-2.0
// Statements: printing, branching, looping, assigning, defining macros.
#include "text/template_eval.hpp"

#include <utility>

namespace ponder::jinja {

void Evaluator::run(const Body& body, Output& out) {
    out_ = &out;
    frame_ = make_frame(frame_);
    run_body(body);
}

Evaluator::Flow Evaluator::run_body(const Body& body) {
    const Runtime::Nesting nesting(runtime_);
    for (const auto& stmt : body) {
        if (!runtime_.ok()) return Flow::kNext;
        const Flow flow = run_stmt(*stmt);
        if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
}

void Evaluator::print(const Value& value) {
    const Text* text = runtime_.to_text(value);
    if (runtime_.ok()) runtime_.print(*out_, *text);
}

Evaluator::Flow Evaluator::run_stmt(const Stmt& stmt) {
    runtime_.set_line(stmt.line);
    if (!runtime_.step()) return Flow::kNext;
    switch (stmt.kind) {
        case StmtKind::kText:
            runtime_.print(*out_, Text{stmt.text, {}});
            break;
        case StmtKind::kOutput:
            print(eval(*stmt.expr));
            break;
        case StmtKind::kIf:
            return run_if(stmt);
        case StmtKind::kFor: {
            const Value iterable = eval(*stmt.expr);
            return runtime_.ok() ? run_for(stmt, iterable, frame_, 1) : Flow::kNext;
        }
        case StmtKind::kSet:
        case StmtKind::kSetBlock:
            run_set(stmt);
            break;
        case StmtKind::kMacro:
            set_variable(*frame_, stmt.text, make_macro(stmt));
            break;
        case StmtKind::kCall:
            run_call_block(stmt);
            break;
        case StmtKind::kFilter: {
            captured_ = Value::of(capture(stmt.bodies[0]));
            if (runtime_.ok()) print(eval(*stmt.expr));
            break;
        }
        case StmtKind::kWith:
            run_with(stmt);
            break;
        case StmtKind::kScope: {
            Frame* outer = std::exchange(frame_, make_frame(frame_));
            const Flow flow = run_body(stmt.bodies[0]);
            frame_ = outer;
            return flow;
        }
        case StmtKind::kBreak:
            return Flow::kBreak;
        case StmtKind::kContinue:
            return Flow::kContinue;
    }
    return Flow::kNext;
}

// The branches share the surrounding scope: what an if sets is seen behind it.
Evaluator::Flow Evaluator::run_if(const Stmt& stmt) {
    for (size_t i = 0; i < stmt.conditions.size(); ++i) {
        const bool is_met = runtime_.is_true(eval(*stmt.conditions[i]));
        if (!runtime_.ok()) return Flow::kNext;
        if (is_met) return run_body(stmt.bodies[i]);
    }
    return stmt.bodies.size() > stmt.conditions.size() ? run_body(stmt.bodies.back()) : Flow::kNext;
}

// The items that pass the loop's condition; the loop counts only these.
List* Evaluator::filter_items(const Stmt& stmt, const List* items, Frame* parent) {
    List* kept = runtime_.make_list();
    Frame* outer = std::exchange(frame_, make_frame(parent));
    for (size_t i = 0; i < items->items.size && runtime_.step(); ++i) {
        frame_->variables.size = 0;
        const Value item = items->items[i];
        assign(*stmt.target, item);
        if (runtime_.ok() && runtime_.is_true(eval(*stmt.filter))) runtime_.push(kept->items, item);
    }
    frame_ = outer;
    return kept;
}

Evaluator::Flow Evaluator::run_for(const Stmt& stmt, const Value& iterable, Frame* parent, int64_t depth) {
    const Runtime::Nesting nesting(runtime_);
    List* items = nesting ? runtime_.iterate(iterable) : nullptr;
    if (items && stmt.filter && runtime_.ok()) items = filter_items(stmt, items, parent);
    if (!items || !runtime_.ok()) return Flow::kNext;
    Frame* outer = std::exchange(frame_, make_frame(parent));
    Loop* loop = runtime_.make<Loop>();
    loop->items = Value::of(items);
    loop->depth = depth;
    loop->frame = parent;
    loop->statement = stmt.is_recursive ? &stmt : nullptr;
    Flow flow = Flow::kNext;
    if (items->items.size == 0) flow = run_body(stmt.bodies[1]);
    for (size_t i = 0; i < items->items.size && runtime_.step(); ++i) {
        // Each round has variables of its own; the frame is used again unless a macro holds on to it.
        if (frame_->is_captured) frame_ = make_frame(parent);
        frame_->variables.size = 0;
        loop->index = i;
        set_variable(*frame_, "loop", Value::of(loop));
        assign(*stmt.target, items->items[i]);
        if (!runtime_.ok() || run_body(stmt.bodies[0]) == Flow::kBreak) break;
    }
    frame_ = outer;
    return flow;
}

void Evaluator::run_set(const Stmt& stmt) {
    Value value;
    if (stmt.kind == StmtKind::kSet) {
        value = eval(*stmt.expr);
    } else {
        value = Value::of(capture(stmt.bodies[0]));
        captured_ = value;
        if (stmt.expr && runtime_.ok()) value = eval(*stmt.expr);
    }
    if (runtime_.ok()) assign(*stmt.target, value);
}

// {% call(x) m(a) %}: the block becomes the macro `caller`, which m may call with a value for x.
void Evaluator::run_call_block(const Stmt& stmt) {
    const Value caller = make_macro(stmt);
    const Value callee = eval(*stmt.expr->items[0]);
    if (!runtime_.ok()) return;
    const Args args = eval_arguments(stmt.expr->arguments, &caller);
    if (runtime_.ok()) print(call(callee, args));
}

void Evaluator::run_with(const Stmt& stmt) {
    Frame* inner = make_frame(frame_);
    for (const Parameter& parameter : stmt.parameters) {
        const Value value = eval(*parameter.value);  // seen from outside: the block's variables do not see each other
        if (!runtime_.ok()) return;
        Frame* outer = std::exchange(frame_, inner);
        assign(*parameter.target, value);
        frame_ = outer;
    }
    Frame* outer = std::exchange(frame_, inner);
    run_body(stmt.bodies[0]);
    frame_ = outer;
}

// Runs with an output of its own and makes a text of it. The output is std memory, so its charge is given back here.
template <class Run>
const Text* Evaluator::capture_run(Run run) {
    Output output;
    Output* outer = std::exchange(out_, &output);
    run();
    out_ = outer;
    const Text* text = runtime_.ok() ? runtime_.make_text(output.bytes) : runtime_.share_text({});
    ArenaArray<TextSpan> marks;
    for (const TextSpan& mark : output.marks) runtime_.push(marks, mark);
    runtime_.release(output);
    return runtime_.ok() ? runtime_.share_text(text->bytes, marks.span()) : text;
}

const Text* Evaluator::capture(const Body& body) {
    Frame* outer = std::exchange(frame_, make_frame(frame_));
    const Text* text = capture_run([&] { run_body(body); });
    frame_ = outer;
    return text;
}

// Frames stay in the arena until the render ends, so a macro may outlive the block that defined it.
Frame* Evaluator::make_frame(Frame* parent) {
    Frame* frame = runtime_.make<Frame>();
    frame->parent = parent;
    return frame;
}

// Innermost scope first, then the context's variables, then Jinja2's own functions, which a variable may hide.
Value Evaluator::look_up(std::string_view name) {
    for (const Frame* frame = frame_; frame; frame = frame->parent) {
        runtime_.step(frame->variables.size / 16);
        for (const NamedValue& variable : frame->variables) {
            if (variable.name == name) return variable.value;
        }
    }
    const Builtin global = find_global(name);
    return global ? runtime_.bind(name, global, Value::none()) : runtime_.undefined(name);
}

// Writes to this scope only: Jinja2 loops cannot change outer variables, which is why templates use namespace().
void Evaluator::set_variable(Frame& frame, std::string_view name, const Value& value) {
    if (!runtime_.step(frame.variables.size / 16)) return;
    for (NamedValue& variable : frame.variables) {
        if (variable.name != name) continue;
        variable.value = value;
        return;
    }
    runtime_.push(frame.variables, NamedValue{name, value});
}

void Evaluator::assign(const Expr& target, const Value& value) {
    if (target.kind == ExprKind::kName) return set_variable(*frame_, target.name, value);
    if (target.kind == ExprKind::kNamespaceRef) {
        const Value object = look_up(target.name);
        const std::string& member = std::get<std::string>(target.items[0]->literal);
        if (!object.is(Kind::kNamespace)) {
            runtime_.fail("cannot assign '%.100s' of '%.100s', which is no namespace", member.c_str(), target.name.c_str());
        } else if (Value* place = runtime_.find(*object.dict, member)) {
            *place = value;
        } else {
            runtime_.push(object.dict->entries, DictEntry{Value::of(runtime_.share_text(member)), value});
        }
        return;
    }
    const List* values = runtime_.iterate(value);
    if (!runtime_.ok()) return;
    if (values->items.size != target.items.size()) {
        runtime_.fail("%zu values for %zu names", values->items.size, target.items.size());
        return;
    }
    for (size_t i = 0; i < target.items.size() && runtime_.step(); ++i) assign(*target.items[i], values->items[i]);
}

// The scopes are kept by reference: a macro sees later changes of the variables around it.
Value Evaluator::make_macro(const Stmt& stmt) {
    Callable* callable = runtime_.make<Callable>();
    callable->name = stmt.text;
    callable->macro = &stmt;
    callable->closure = frame_;
    for (Frame* frame = frame_; frame && !frame->is_captured; frame = frame->parent) frame->is_captured = true;
    return Value::of(callable);
}

// ---- calls, which print into a text of their own

// Everything that can be called: builtins and bound methods, macros, and a recursive loop.
Value Evaluator::call(const Value& callee, const Args& args) {
    const Runtime::Nesting nesting(runtime_);
    if (!nesting || !runtime_.step()) return {};
    if (callee.is_undefined()) return runtime_.get_attribute(callee, "call");
    if (callee.is(Kind::kLoop) && callee.loop->statement) {
        if (args.positional.size() != 1 || !args.named.empty()) return runtime_.fail("loop() takes one iterable");
        const Loop& loop = *callee.loop;
        return Value::of(capture_run([&] { run_for(*loop.statement, args.positional[0], loop.frame, loop.depth + 1); }));
    }
    if (!callee.is(Kind::kCallable)) return runtime_.fail("'%s' cannot be called", type_name(callee));
    if (callee.callable->macro) return call_macro(*callee.callable, args);
    const Value result = callee.callable->function(runtime_, callee.callable->self, args);
    return runtime_.ok() ? result : Value();
}

Value Evaluator::call_macro(const Callable& callable, const Args& args) {
    Frame* frame = make_frame(callable.closure);
    Frame* outer = std::exchange(frame_, frame);
    const Text* text = nullptr;
    if (bind_parameters(*callable.macro, args, *frame)) text = capture_run([&] { run_body(callable.macro->bodies[0]); });
    frame_ = outer;
    return text ? Value::of(text) : Value();
}

// Named ones first, so that defaults, which may use earlier parameters, are evaluated last and in order.
bool Evaluator::bind_parameters(const Stmt& macro, const Args& args, Frame& frame) {
    const size_t n = macro.parameters.size();
    ArenaArray<NamedValue> extra;
    for (const NamedValue& named : args.named) {
        if (!runtime_.step(n / 16)) return false;
        size_t i = 0;
        while (i < n && macro.parameters[i].target->name != named.name) ++i;
        if (i == n) {
            runtime_.push(extra, named);
        } else if (i < args.positional.size()) {
            return runtime_.fail("macro '%.100s' got two values for '%.100s'", macro.text.c_str(),
                                 macro.parameters[i].target->name.c_str()),
                   false;
        } else {
            set_variable(frame, macro.parameters[i].target->name, named.value);
        }
    }
    const size_t n_named = frame.variables.size;
    for (size_t i = 0; i < n && runtime_.step(n_named / 16 + 1); ++i) {
        const std::string& name = macro.parameters[i].target->name;
        bool is_given = false;
        for (size_t k = 0; k < n_named; ++k) is_given = is_given || frame.variables[k].name == name;
        if (is_given) continue;
        Value value = runtime_.undefined(name);
        if (i < args.positional.size())
            value = args.positional[i];
        else if (macro.parameters[i].value)
            value = eval(*macro.parameters[i].value);
        set_variable(frame, name, value);
    }
    return runtime_.ok() && bind_extras(macro, args, extra, frame);
}

// What no parameter takes goes to varargs, kwargs and caller if the macro speaks of them, and is an error if it does not.
bool Evaluator::bind_extras(const Stmt& macro, const Args& args, ArenaArray<NamedValue>& extra, Frame& frame) {
    Dict* kwargs = runtime_.make<Dict>();
    for (const NamedValue& named : extra) {
        if (named.name == "caller" && macro.uses_caller) {
            set_variable(frame, "caller", named.value);
        } else if (macro.uses_kwargs) {
            runtime_.set(*kwargs, Value::of(runtime_.share_text(named.name)), named.value);
        } else {
            const std::string name(named.name.substr(0, 100));
            return runtime_.fail("macro '%.100s' takes no argument '%s'", macro.text.c_str(), name.c_str()), false;
        }
    }
    if (macro.uses_kwargs) set_variable(frame, "kwargs", Value::of(kwargs));
    const size_t n = macro.parameters.size();
    if (args.positional.size() > n && !macro.uses_varargs) {
        return runtime_.fail("macro '%.100s' takes at most %zu arguments", macro.text.c_str(), n), false;
    }
    if (macro.uses_varargs) {
        List* varargs = runtime_.make_list(ListType::kTuple);
        for (size_t i = n; i < args.positional.size(); ++i) runtime_.push(varargs->items, args.positional[i]);
        set_variable(frame, "varargs", Value::of(varargs));
    }
    return runtime_.ok();
}

}  // namespace ponder::jinja
