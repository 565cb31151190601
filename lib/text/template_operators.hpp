// SPDX-License-Identifier: Apache-2.0
// The operators of expressions on values.
#pragma once

#include "text/template_ast.hpp"
#include "text/template_runtime.hpp"

namespace ponder::jinja {

Value apply_arithmetic(Runtime& runtime, Op op, const Value& a, const Value& b);
bool apply_comparison(Runtime& runtime, Op op, const Value& a, const Value& b);
Value negate(Runtime& runtime, const Value& value);
Value keep_sign(Runtime& runtime, const Value& value);  // unary plus

}  // namespace ponder::jinja
