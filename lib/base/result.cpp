// SPDX-License-Identifier: Apache-2.0
// Formats error messages.
#include "base/result.hpp"

#include <cstdarg>
#include <cstdio>

namespace ponder {

Error make_error(ponder_status status, const char* format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    const int n = std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return {status, n < 0 ? std::string(format) : std::string(text)};
}

Error with_context(Error error, const std::string& where) {
    error.message = where + ": " + error.message;
    return error;
}

}  // namespace ponder
