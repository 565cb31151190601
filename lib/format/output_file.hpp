// SPDX-License-Identifier: Apache-2.0
// A file that appears under its name only when it is complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"

namespace ponder {

// Writes to a temporary file in the target's folder; commit() renames it over the target in one step. Destroyed before that, the
// temporary is removed and the target is as it was. A target that is a link stays one: the file that it names is replaced. Errors are
// PONDER_STATUS_IO with the system's reason; after one, only destruction is useful.
class OutputFile {
  public:
    // Refuses a target that exists and is no regular file: renaming over a device or a pipe would destroy it.
    static Result<OutputFile> create(const std::string& path);

    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&& other) noexcept;
    ~OutputFile();

    Result<void> write(std::span<const std::byte> bytes);
    // Makes what was written so far durable and forgets the system's copy of it, so that who reads temporary() next reads the disk.
    Result<void> flush();
    // Flushes to the disk, closes, renames.
    Result<void> commit();

    uint64_t n_written() const { return n_written_; }
    const std::string& path() const { return path_; }
    const std::string& temporary() const { return temporary_; }  // where the bytes are until commit()

  private:
    OutputFile() = default;
    Error failure(const char* action, int code) const;

    int fd_ = -1;
    uint64_t n_written_ = 0;
    std::string path_;       // as the caller gave it
    std::string target_;     // path_ with its links followed
    std::string temporary_;  // empty once renamed
};

}  // namespace ponder
