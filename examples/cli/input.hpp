// SPDX-License-Identifier: Apache-2.0
// Reading: whole files and streams up to a limit, lines as they come; a signal ends the wait.
#pragma once

#include <cstddef>
#include <string>

namespace ponder::tool {

// Most bytes of one line, prompt or text file; more is a Failure.
constexpr size_t kMaxInputBytes = size_t{256} << 20;

// The whole of `fd`. `name` is for messages. Throws Failure: cannot be read, longer than kMaxInputBytes, cancelled.
std::string read_all(int fd, const char* name);
// The whole of a file. Throws Failure as read_all.
std::string read_file(const std::string& path);

// Lines of standard input. Standard output is flushed before each wait, so that a program that talks to the tool line by line gets its
// answers, while a long stream is written in large blocks.
class LineReader {
  public:
    enum class Result { kLine, kEnd, kInterrupted };
    // The next line without its line end ("\n" or "\r\n"). A last line need not have one. Throws Failure as read_all.
    Result next(std::string& line);

  private:
    std::string buffer_;
    size_t start_ = 0;     // first byte not yet handed out
    size_t searched_ = 0;  // bytes before it hold no line end
    bool is_at_end_ = false;
};

}  // namespace ponder::tool
