// SPDX-License-Identifier: Apache-2.0
// Implementation of reading for the tool.
#include "input.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "failure.hpp"
#include "interrupt.hpp"
#include "terminal.hpp"

namespace ponder::tool {
namespace {

constexpr size_t kBlock = size_t{64} << 10;

// Appends up to one block of `fd` to `buffer`; false at the end.
bool read_block(int fd, std::string& buffer, const char* name) {
    const size_t old_size = buffer.size();
    if (old_size >= kMaxInputBytes) fail("%s: longer than the limit of %zu bytes", name, kMaxInputBytes);
    buffer.resize(old_size + kBlock);
    ssize_t n = 0;
    do {
        n = read(fd, buffer.data() + old_size, kBlock);
    } while (n < 0 && errno == EINTR);
    buffer.resize(old_size + (n > 0 ? static_cast<size_t>(n) : 0));
    if (n < 0) fail("%s: %s", name, std::strerror(errno));
    return n > 0;
}

}  // namespace

std::string read_all(int fd, const char* name) {
    std::string text;
    do {
        if (!wait_readable(fd)) throw Failure{"cancelled"};
    } while (read_block(fd, text, name));
    return text;
}

std::string read_file(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail("%s: %s", path.c_str(), std::strerror(errno));
    try {
        std::string text = read_all(fd, path.c_str());
        close(fd);
        return text;
    } catch (...) {
        close(fd);
        throw;
    }
}

LineReader::Result LineReader::next(std::string& line) {
    while (true) {
        const size_t line_end = buffer_.find('\n', searched_);
        if (line_end != std::string::npos || (is_at_end_ && start_ < buffer_.size())) {
            const size_t stop = line_end != std::string::npos ? line_end : buffer_.size();
            const bool has_return = stop > start_ && buffer_[stop - 1] == '\r';
            line.assign(buffer_, start_, stop - start_ - (has_return ? 1 : 0));
            start_ = searched_ = line_end != std::string::npos ? stop + 1 : stop;
            return Result::kLine;
        }
        if (is_at_end_) return Result::kEnd;
        buffer_.erase(0, start_);
        start_ = 0;
        searched_ = buffer_.size();
        flush_out();
        if (!wait_readable(STDIN_FILENO)) return Result::kInterrupted;
        is_at_end_ = !read_block(STDIN_FILENO, buffer_, "standard input");
    }
}

}  // namespace ponder::tool
