// SPDX-License-Identifier: Apache-2.0
// A file mapped read-only into memory; the mapping ends with the object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.hpp"

namespace ponder {

class MappedFile {
  public:
    // Errors: PONDER_STATUS_IO if the path cannot be opened, is not a regular file, or cannot be mapped. An empty file maps to no bytes.
    // Another process that shortens the file while it is mapped makes reads fault (SIGBUS): model files must not be edited in place.
    static Result<MappedFile> open(const std::string& path);

    // No file: n_bytes of address space that read as zeros and take no memory, under a path that names what they stand for. Errors:
    // PONDER_STATUS_IO if the system does not give so much.
    static Result<MappedFile> zeros(size_t n_bytes, const std::string& path);

    MappedFile() = default;
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return {data_, size_}; }
    // Whether `range`, which may lie anywhere, is a part of bytes().
    bool contains(std::span<const std::byte> range) const;
    // Copies the bytes from `offset` on past the mapping. Any thread. Errors: PONDER_STATUS_IO, also where the file has become shorter.
    Result<void> read(uint64_t offset, std::span<std::byte> dst) const;
    // The same, and lets the system forget them: for data that is kept elsewhere from then on.
    Result<void> read_once(uint64_t offset, std::span<std::byte> dst) const;
    // Gives back the memory of the whole pages inside `range`, a part of bytes(): it stays readable and is read again when touched. For
    // those that stream through files larger than memory.
    void release(std::span<const std::byte> range) const;
    // Puts a copy of the whole pages around `range`, a part of bytes(), in their place, in memory of this process and large pages where the
    // system has them: what happens to the file does not change it any more, and release() must not be called on it. fill(copy, offset)
    // reads the file's bytes from `offset` on to `copy`. Bytes stay readable throughout, also after an error.
    // Errors: OUT_OF_MEMORY, and those of fill.
    Result<void> own(std::span<const std::byte> range, const std::function<Result<void>(std::span<std::byte>, uint64_t)>& fill) const;
    const std::string& path() const { return path_; }

  private:
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
    int fd_ = -1;
    std::string path_;
};

// The whole file as a string. Errors: PONDER_STATUS_IO, or PONDER_STATUS_LIMIT if it is longer than max_bytes.
Result<std::string> read_file(const std::string& path, size_t max_bytes);

}  // namespace ponder
