// SPDX-License-Identifier: Apache-2.0
// Reads until the end, which such files do not tell beforehand.
#include "base/small_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

namespace ponder {

std::string read_small_file(const std::string& path) {
    std::string text;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return text;
    char buffer[4096];
    for (ssize_t n = 0; text.size() < sizeof buffer && (n = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(n));
    ::close(fd);
    return text;
}

std::optional<uint64_t> parse_number(std::string_view text) {
    uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    return parsed.ec == std::errc{} ? std::optional(number) : std::nullopt;
}

std::optional<uint64_t> find_number(std::string_view text, std::string_view name) {
    while (!text.starts_with(name)) {
        const size_t line = text.find('\n');
        if (line == std::string_view::npos) return std::nullopt;
        text.remove_prefix(line + 1);
    }
    text.remove_prefix(name.size());
    const size_t blanks = text.find_first_not_of(' ');
    return blanks == std::string_view::npos ? std::nullopt : parse_number(text.substr(blanks));
}

}  // namespace ponder
