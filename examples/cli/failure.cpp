// SPDX-License-Identifier: Apache-2.0
// Failures of the tool: making them and printing them as one line.
#include "failure.hpp"

#include <cstdarg>
#include <cstdio>

namespace ponder::tool {

void fail(const char* format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw Failure{text};
}

void check(ponder_status status, const ponder_error& error) {
    if (status == PONDER_STATUS_OK) return;
    if (status == PONDER_STATUS_CANCELLED) throw Failure{"cancelled"};
    throw Failure{error.message[0] != '\0' ? error.message : ponder_status_name(status)};
}

std::string one_line(std::string_view text) {
    std::string line;
    line.reserve(text.size());
    bool was_space = false;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
        if (is_space) {
            if (!was_space) line += ' ';
        } else {
            line += byte < 0x20 || byte == 0x7f ? '?' : c;
        }
        was_space = is_space;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line;
}

void print_failure(std::string_view what, std::string_view why) {
    std::string line = "ponder: ";
    if (!what.empty()) line.append(one_line(what)).append(": ");
    line.append(one_line(why)).append("\n");
    std::fputs(line.c_str(), stderr);
}

}  // namespace ponder::tool
