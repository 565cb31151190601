// SPDX-License-Identifier: Apache-2.0
// The statement half of the template parser, and what both halves share.
#include "text/template_parser.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/limits.hpp"

namespace ponder::jinja {

ParserBase::Nesting::Nesting(ParserBase& parser) : parser_(parser) {
    if (++parser_.depth_ > limits::kMaxTemplateDepth) {
        parser_.fail(make_error(PONDER_STATUS_LIMIT, "line %d: blocks or expressions nested deeper than %d", parser_.current().line,
                                limits::kMaxTemplateDepth));
    }
}

void ParserBase::advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
}

bool ParserBase::skip_operator(std::string_view text) {
    const bool matches = is_operator(text);
    if (matches) advance();
    return matches;
}

bool ParserBase::skip_name(std::string_view text) {
    const bool matches = is_name(text);
    if (matches) advance();
    return matches;
}

bool ParserBase::expect_operator(std::string_view text) {
    if (!ok()) return false;
    if (!skip_operator(text)) fail_unexpected();
    return ok();
}

bool ParserBase::expect_kind(TokenKind kind, const char* what) {
    if (!ok()) return false;
    if (current().kind != kind) {
        fail(what);
    } else {
        advance();
    }
    return ok();
}

// Any name, including those that start tags: Jinja2 reserves none of them.
std::string ParserBase::expect_name() {
    if (!ok()) return {};
    if (current().kind != TokenKind::kName) return fail_unexpected(), std::string();
    std::string name(current().text);
    advance();
    return name;
}

std::nullptr_t ParserBase::fail(const char* what) { return fail(make_error(PONDER_STATUS_TEMPLATE, "line %d: %s", current().line, what)); }

std::nullptr_t ParserBase::fail(Error error) {
    if (!failed_) error_ = std::move(error);
    failed_ = true;
    return nullptr;
}

std::nullptr_t ParserBase::fail_unexpected() {
    constexpr size_t kShownBytes = 40;
    std::string_view text = current().text.substr(0, kShownBytes);
    while (!text.empty() && text.size() == kShownBytes && (static_cast<unsigned char>(text.back()) & 0x80) != 0) text.remove_suffix(1);
    if (current().kind == TokenKind::kEnd) return fail("unexpected end of the template");
    return fail(
        make_error(PONDER_STATUS_TEMPLATE, "line %d: unexpected '%.*s'", current().line, static_cast<int>(text.size()), text.data()));
}

ExprPtr ParserBase::make(ExprKind kind) const {
    auto node = std::make_unique<Expr>();
    node->kind = kind;
    node->line = current().line;
    return node;
}

ExprPtr ParserBase::make(ExprKind kind, ExprPtr first) {
    ExprPtr node = make(kind);
    if (first) node->line = first->line;
    add(node, std::move(first));
    return node;
}

void ParserBase::add(ExprPtr& node, ExprPtr child) {
    if (child) node->depth = std::max(node->depth, child->depth + 1);
    node->items.push_back(std::move(child));
    if (node->depth > limits::kMaxTemplateDepth) {
        fail(make_error(PONDER_STATUS_LIMIT, "line %d: expression deeper than %d levels", current().line, limits::kMaxTemplateDepth));
    }
}

void ParserBase::add_argument(ExprPtr& node, Argument argument) {
    if (!argument.value) return;
    node->depth = std::max(node->depth, argument.value->depth + 1);
    node->arguments.push_back(std::move(argument));
    if (node->depth > limits::kMaxTemplateDepth) {
        fail(make_error(PONDER_STATUS_LIMIT, "line %d: expression deeper than %d levels", current().line, limits::kMaxTemplateDepth));
    }
}

namespace {

using StmtPtr = std::unique_ptr<Stmt>;

class TemplateParser : public ExpressionParser {
  public:
    using ExpressionParser::ExpressionParser;

    Body parse_body(std::initializer_list<std::string_view> ends);

  private:
    using Parse = StmtPtr (TemplateParser::*)();

    StmtPtr make_stmt(StmtKind kind) const;
    StmtPtr parse_statement();
    StmtPtr parse_if();
    StmtPtr parse_for();
    StmtPtr parse_set();
    StmtPtr parse_macro();
    StmtPtr parse_call_block();
    StmtPtr parse_filter_block();
    StmtPtr parse_with();
    StmtPtr parse_scope();
    StmtPtr parse_loop_control();

    void parse_parameters(Stmt& stmt);
    void parse_callable_body(Stmt& stmt, std::string_view end);
    // The tag's end, then statements up to one of `ends`, whose name stays the current token.
    Body parse_block(std::initializer_list<std::string_view> ends);
    // Like parse_block, with one end that is passed too.
    Body parse_block_to(std::string_view end);

    int n_loops_ = 0;
};

StmtPtr TemplateParser::make_stmt(StmtKind kind) const {
    auto stmt = std::make_unique<Stmt>();
    stmt->kind = kind;
    stmt->line = current().line;
    return stmt;
}

// Statements up to one of `ends`, or to the end of the source if there are none.
Body TemplateParser::parse_body(std::initializer_list<std::string_view> ends) {
    Body body;
    const Nesting nesting(*this);
    while (ok()) {
        const TokenKind kind = current().kind;
        if (kind == TokenKind::kEnd) {
            if (ends.size() != 0) fail("block without its end at the end of the template");
            break;
        }
        if (kind == TokenKind::kData) {
            body.push_back(make_stmt(StmtKind::kText));
            body.back()->text = std::string(current().text);
            advance();
        } else if (kind == TokenKind::kVariableBegin) {
            body.push_back(make_stmt(StmtKind::kOutput));
            advance();
            body.back()->expr = parse_tuple();
            expect_kind(TokenKind::kVariableEnd, "expected the end of the print statement");
        } else {
            advance();
            if (current().kind == TokenKind::kName && std::find(ends.begin(), ends.end(), current().text) != ends.end()) break;
            body.push_back(parse_statement());
            expect_kind(TokenKind::kBlockEnd, "expected the end of the tag");
        }
    }
    return body;
}

Body TemplateParser::parse_block(std::initializer_list<std::string_view> ends) {
    skip_operator(":");
    return expect_kind(TokenKind::kBlockEnd, "expected the end of the tag") ? parse_body(ends) : Body();
}

Body TemplateParser::parse_block_to(std::string_view end) {
    Body body = parse_block({end});
    if (ok()) advance();
    return body;
}

StmtPtr TemplateParser::parse_statement() {
    struct Row {
        std::string_view name;
        Parse parse;
    };
    static constexpr Row kRows[] = {
        {"if", &TemplateParser::parse_if},
        {"for", &TemplateParser::parse_for},
        {"set", &TemplateParser::parse_set},
        {"macro", &TemplateParser::parse_macro},
        {"with", &TemplateParser::parse_with},
        {"call", &TemplateParser::parse_call_block},
        {"break", &TemplateParser::parse_loop_control},
        {"continue", &TemplateParser::parse_loop_control},
        {"filter", &TemplateParser::parse_filter_block},
        {"generation", &TemplateParser::parse_scope},
    };
    if (current().kind != TokenKind::kName) return fail("expected the name of a tag");
    for (const Row& row : kRows) {
        if (is_name(row.name)) return (this->*row.parse)();
    }
    return fail_unexpected();
}

StmtPtr TemplateParser::parse_if() {
    StmtPtr stmt = make_stmt(StmtKind::kIf);
    do {
        advance();
        stmt->conditions.push_back(parse_tuple(false));
        stmt->bodies.push_back(parse_block({"elif", "else", "endif"}));
    } while (ok() && is_name("elif"));
    if (!ok()) return nullptr;
    if (is_name("else")) {
        advance();
        stmt->bodies.push_back(parse_block_to("endif"));
    } else {
        advance();
    }
    return stmt;
}

// A condition takes no `x if y else z` in the iterable, because `if` begins the loop's filter.
StmtPtr TemplateParser::parse_for() {
    StmtPtr stmt = make_stmt(StmtKind::kFor);
    advance();
    stmt->target = parse_target("in", false);
    if (ok() && !skip_name("in")) return fail("expected 'in'");
    if (!ok()) return nullptr;
    stmt->expr = parse_tuple(false, "recursive");
    if (ok() && skip_name("if")) stmt->filter = parse_expression();
    stmt->is_recursive = skip_name("recursive");
    ++n_loops_;
    stmt->bodies.push_back(parse_block({"endfor", "else"}));
    --n_loops_;
    if (!ok()) return nullptr;
    const bool has_else = is_name("else");
    advance();
    stmt->bodies.push_back(has_else ? parse_block_to("endfor") : Body());
    return stmt;
}

// Without '=' the value is the text of a block up to endset.
StmtPtr TemplateParser::parse_set() {
    StmtPtr stmt = make_stmt(StmtKind::kSet);
    advance();
    stmt->target = parse_target({}, true);
    if (!ok()) return nullptr;
    if (skip_operator("=")) {
        stmt->expr = parse_tuple();
        return stmt;
    }
    stmt->kind = StmtKind::kSetBlock;
    stmt->expr = parse_filters(nullptr, false);
    stmt->bodies.push_back(parse_block_to("endset"));
    return stmt;
}

// (a, b=default, ...), where nothing without a default follows one with it.
void TemplateParser::parse_parameters(Stmt& stmt) {
    if (!expect_operator("(")) return;
    while (ok() && !is_operator(")")) {
        Parameter parameter;
        parameter.target = make(ExprKind::kName);
        parameter.target->name = expect_name();
        if (skip_operator("=")) {
            parameter.value = parse_expression();
        } else if (ok() && !stmt.parameters.empty() && stmt.parameters.back().value) {
            fail("parameter without a default after one with a default");
        }
        stmt.parameters.push_back(std::move(parameter));
        if (!ok() || !skip_operator(",")) break;
    }
    expect_operator(")");
}

// Loops outside a macro or a call block are not its own to break.
void TemplateParser::parse_callable_body(Stmt& stmt, std::string_view end) {
    const int n_outer_loops = std::exchange(n_loops_, 0);
    const SpecialNames outer = std::exchange(special_names_, {});
    stmt.bodies.push_back(parse_block_to(end));
    stmt.uses_varargs = special_names_.varargs;
    stmt.uses_kwargs = special_names_.kwargs;
    stmt.uses_caller = special_names_.caller;
    special_names_ = outer;
    n_loops_ = n_outer_loops;
}

StmtPtr TemplateParser::parse_macro() {
    StmtPtr stmt = make_stmt(StmtKind::kMacro);
    advance();
    stmt->text = expect_name();
    parse_parameters(*stmt);
    parse_callable_body(*stmt, "endmacro");
    return stmt;
}

StmtPtr TemplateParser::parse_call_block() {
    StmtPtr stmt = make_stmt(StmtKind::kCall);
    advance();
    stmt->text = "caller";
    if (is_operator("(")) parse_parameters(*stmt);
    stmt->expr = parse_expression();
    if (ok() && stmt->expr->kind != ExprKind::kCall) return fail("expected a call");
    parse_callable_body(*stmt, "endcall");
    return stmt;
}

StmtPtr TemplateParser::parse_filter_block() {
    StmtPtr stmt = make_stmt(StmtKind::kFilter);
    advance();
    stmt->expr = parse_filters(nullptr, true);
    stmt->bodies.push_back(parse_block_to("endfilter"));
    return stmt;
}

// {% with a = 1, b = 2 %}
StmtPtr TemplateParser::parse_with() {
    StmtPtr stmt = make_stmt(StmtKind::kWith);
    advance();
    while (ok() && current().kind != TokenKind::kBlockEnd) {
        Parameter parameter;
        parameter.target = parse_target({}, false);
        if (!ok() || !expect_operator("=")) return nullptr;
        parameter.value = parse_expression();
        stmt->parameters.push_back(std::move(parameter));
        if (!ok() || !skip_operator(",")) break;
    }
    stmt->bodies.push_back(parse_block_to("endwith"));
    return stmt;
}

// {% generation %} marks what a model wrote, for training masks; it renders as its body.
StmtPtr TemplateParser::parse_scope() {
    StmtPtr stmt = make_stmt(StmtKind::kScope);
    advance();
    stmt->bodies.push_back(parse_block_to("endgeneration"));
    return stmt;
}

StmtPtr TemplateParser::parse_loop_control() {
    if (n_loops_ == 0) return fail("break or continue outside a loop");
    StmtPtr stmt = make_stmt(is_name("break") ? StmtKind::kBreak : StmtKind::kContinue);
    advance();
    return stmt;
}

}  // namespace

Result<Body> parse_template(std::string_view source) {
    Result<std::vector<Token>> tokens = tokenize(source);
    if (!tokens) return tokens.error();
    TemplateParser parser(std::move(*tokens));
    Body body = parser.parse_body({});
    if (!parser.ok()) return parser.take_error();
    return body;
}

}  // namespace ponder::jinja
