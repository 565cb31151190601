// SPDX-License-Identifier: Apache-2.0
// What memory this process may use, and blocks of it that go back to the system when they are freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ponder {

// Bytes of the machine's memory, or of the smallest limit that a control group sets on this process.
uint64_t memory_limit();
// What of it could be taken now without anything being written to disk for it, as far as the system tells; else all.
uint64_t memory_available(const std::string& root = {});

// Page-aligned zeros that are not part of the heap, so that freeing them lowers what the process holds at once; in large pages where the
// system has them and they are filled.
class MemoryBlock {
  public:
    MemoryBlock() = default;
    // Empty if the system has no memory.
    explicit MemoryBlock(size_t n_bytes);
    MemoryBlock(MemoryBlock&& other) noexcept;
    MemoryBlock& operator=(MemoryBlock&& other) noexcept;
    ~MemoryBlock();

    std::span<std::byte> bytes() const { return {data_, size_}; }

  private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
};

// Reads one byte of every page of mapped memory, so that all of it is there.
void touch_pages(std::span<const std::byte> bytes);

}  // namespace ponder
