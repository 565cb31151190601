// SPDX-License-Identifier: Apache-2.0
// Template source to tokens: Jinja2's delimiters and whitespace control with trim_blocks and lstrip_blocks on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ponder::jinja {

enum class TokenKind { kData, kVariableBegin, kVariableEnd, kBlockBegin, kBlockEnd, kName, kString, kInteger, kFloat, kOperator, kEnd };

struct Token {
    TokenKind kind = TokenKind::kEnd;
    int line = 1;
    std::string_view text;  // borrowed from the source; a string still has its quotes and escapes
};

// Line ends become '\n', and one of them at the very end is dropped, before anything else looks at the source.
std::string normalize_newlines(std::string_view source);

// The last token is kEnd. Tokens borrow from `source`. Errors: PONDER_STATUS_TEMPLATE with the line.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace ponder::jinja
