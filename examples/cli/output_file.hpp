// SPDX-License-Identifier: Apache-2.0
// Files that appear under their name only when they are whole.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace ponder::tool {

// Written beside its target under a temporary name and renamed by commit(); without commit() the destructor removes it. A target that
// exists and is no regular file (/dev/stdout, a pipe) is written directly.
class OutputFile {
  public:
    // Throws Failure if the file cannot be made.
    explicit OutputFile(const std::string& path);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    // Both throw Failure.
    void write(const void* bytes, size_t size);
    void write(std::string_view text) { write(text.data(), text.size()); }
    // Flushes to the disk and renames. Throws Failure.
    void commit();

  private:
    [[noreturn]] void fail_with_errno();

    std::string path_;
    std::string temporary_;  // "": written directly
    std::FILE* file_ = nullptr;
};

}  // namespace ponder::tool
