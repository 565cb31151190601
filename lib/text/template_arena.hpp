// SPDX-License-Identifier: Apache-2.0
// The memory of one render: handed out in order, counted against kMaxTemplateMemoryBytes, freed all at once.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace ponder::jinja {

// What all memory of a render counts against.
class MemoryBudget {
  public:
    explicit MemoryBudget(size_t limit) : limit_(limit) {}

    // False, counting nothing, past the limit.
    bool charge(size_t bytes) {
        if (bytes > limit_ - used_) return false;
        used_ += bytes;
        return true;
    }
    void release(size_t bytes) { used_ -= bytes; }

  private:
    size_t used_ = 0;
    size_t limit_;
};

class Arena {
  public:
    explicit Arena(MemoryBudget& budget) : budget_(budget) {}

    // Null if the limit would be passed. Objects are not destroyed: only trivially destructible ones may live here.
    void* allocate(size_t bytes, size_t alignment);

    // Makes the latest allocation longer in place; false if `data` is not the latest one or there is no room behind it.
    bool extend(const void* data, size_t old_bytes, size_t new_bytes);

    // Gives back the end of the latest allocation, so that extend() can have it later.
    void shrink(const void* data, size_t old_bytes, size_t new_bytes);

  private:
    static constexpr size_t kFirstChunkBytes = 16 << 10, kMaxChunkBytes = 1 << 20;

    bool is_latest(const void* data, size_t bytes) const;

    MemoryBudget& budget_;
    std::vector<std::unique_ptr<std::byte[]>> chunks_;
    std::byte* cursor_ = nullptr;
    std::byte* chunk_end_ = nullptr;
    size_t next_chunk_bytes_ = kFirstChunkBytes;
};

}  // namespace ponder::jinja
