// SPDX-License-Identifier: Apache-2.0
// How a command of the tool ends early: it throws one of these, and main prints the one line and picks the exit code.
#pragma once

#include <ponder/ponder.h>

#include <string>
#include <string_view>

namespace ponder::tool {

// The work failed: exit code 1. `why` is the rest of the line after "ponder: <command>: ".
struct Failure {
    std::string why;
};

// The command line asks for something that makes no sense: exit code 2.
struct UsageError {
    std::string why;
};

// Throws Failure with a printf-formatted reason.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Throws Failure with the library's own message unless status is OK. Cancelled work says just "cancelled".
void check(ponder_status status, const ponder_error& error);

// Text for one line of a terminal or log: control characters, which a hostile file may have put in a name, become '?'.
std::string one_line(std::string_view text);

// Prints "ponder: <what>: <why>" as one line on stderr; `what` may be empty.
void print_failure(std::string_view what, std::string_view why);

}  // namespace ponder::tool
