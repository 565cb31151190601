// SPDX-License-Identifier: Apache-2.0
// Tokens to a syntax tree, by Jinja2's grammar.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/template_ast.hpp"
#include "text/template_lexer.hpp"

namespace ponder::jinja {

// source: normalized, valid UTF-8; the tree does not borrow from it. Errors: PONDER_STATUS_TEMPLATE with the line;
// PONDER_STATUS_LIMIT if expressions and blocks nest deeper than kMaxTemplateDepth.
Result<Body> parse_template(std::string_view source);

// The value of a string token: its escapes are Python's. Errors: PONDER_STATUS_TEMPLATE.
Result<std::string> parse_string_literal(const Token& token);

// The value of an integer or float token. Errors: PONDER_STATUS_TEMPLATE (no digits, or an integer outside 64 bits).
Result<Literal> parse_number_literal(const Token& token);

// What statements and expressions of one parse share: the position, the depth and the first error, after which every call is a no-op
// that returns null.
class ParserBase {
  public:
    explicit ParserBase(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    bool ok() const { return !failed_; }
    Error take_error() { return std::move(error_); }

  protected:
    // Counts one level of nesting for as long as it lives.
    class Nesting {
      public:
        explicit Nesting(ParserBase& parser);
        ~Nesting() { --parser_.depth_; }
        explicit operator bool() const { return parser_.ok(); }

      private:
        ParserBase& parser_;
    };

    const Token& current() const { return tokens_[at_]; }
    const Token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
    void advance();
    bool is_operator(std::string_view text) const { return current().kind == TokenKind::kOperator && current().text == text; }
    bool is_name(std::string_view text) const { return current().kind == TokenKind::kName && current().text == text; }
    bool skip_operator(std::string_view text);
    bool skip_name(std::string_view text);
    bool expect_operator(std::string_view text);
    bool expect_kind(TokenKind kind, const char* what);
    std::string expect_name();

    // Each sets the error unless one is set already; returns null for callers to pass on.
    std::nullptr_t fail(const char* what);
    std::nullptr_t fail(Error error);
    std::nullptr_t fail_unexpected();

    ExprPtr make(ExprKind kind) const;
    ExprPtr make(ExprKind kind, ExprPtr first);

    // Hang a child under a node; an error if the tree becomes deeper than kMaxTemplateDepth. A null child keeps its place.
    void add(ExprPtr& node, ExprPtr child);
    void add_argument(ExprPtr& node, Argument argument);

  private:
    std::vector<Token> tokens_;
    size_t at_ = 0;
    int depth_ = 0;
    Error error_;
    bool failed_ = false;
};

class ExpressionParser : public ParserBase {
  public:
    using ParserBase::ParserBase;

  protected:
    ExprPtr parse_expression(bool with_conditional = true);

    // One expression, or a tuple where commas follow; `end_name` is a name that may end it ("in", "recursive").
    ExprPtr parse_tuple(bool with_conditional = true, std::string_view end_name = {}, bool has_parentheses = false);

    // A name, a tuple of targets, or (with_namespace) name.member.
    ExprPtr parse_target(std::string_view end_name, bool with_namespace);
    ExprPtr parse_filters(ExprPtr value, bool is_first_inline);
    ExprPtr parse_unary(bool with_filters = true);

    // Special names read since this was last cleared.
    struct SpecialNames {
        bool varargs = false, kwargs = false, caller = false;
    };
    SpecialNames special_names_;

  private:
    ExprPtr parse_or();
    ExprPtr parse_and();
    ExprPtr parse_not();
    ExprPtr parse_compare();
    ExprPtr parse_sum();
    ExprPtr parse_concat();
    ExprPtr parse_product();
    ExprPtr parse_power();
    ExprPtr parse_primary();
    ExprPtr parse_literal();
    ExprPtr parse_list();
    ExprPtr parse_dict();
    ExprPtr parse_postfix(ExprPtr value);
    ExprPtr parse_filters_and_tests(ExprPtr value);
    ExprPtr parse_one_filter(ExprPtr value);
    ExprPtr parse_test(ExprPtr value);
    ExprPtr parse_subscript(ExprPtr value);
    ExprPtr parse_call(ExprPtr callee);
    void parse_arguments(ExprPtr& node);
    ExprPtr parse_other_value();
    std::string parse_dotted_name();
    bool is_tuple_end(std::string_view end_name) const;
    ExprPtr parse_one_target(bool with_namespace);
    bool match_comparison(Op& op);
};

}  // namespace ponder::jinja
