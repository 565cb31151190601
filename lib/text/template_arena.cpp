// SPDX-License-Identifier: Apache-2.0
// The arena of a render.
#include "text/template_arena.hpp"

#include <algorithm>
#include <cstdint>

namespace ponder::jinja {

void* Arena::allocate(size_t bytes, size_t alignment) {
    const size_t padding = cursor_ ? (alignment - reinterpret_cast<uintptr_t>(cursor_) % alignment) % alignment : 0;
    if (cursor_ && static_cast<size_t>(chunk_end_ - cursor_) >= padding + bytes) {
        std::byte* data = cursor_ + padding;
        cursor_ = data + bytes;
        return data;
    }
    const size_t chunk_bytes = std::max(next_chunk_bytes_, bytes);
    if (!budget_.charge(chunk_bytes)) return nullptr;
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(chunk_bytes));
    next_chunk_bytes_ = std::min(next_chunk_bytes_ * 2, kMaxChunkBytes);
    std::byte* data = chunks_.back().get();
    cursor_ = data + bytes;
    chunk_end_ = data + chunk_bytes;
    return data;
}

// Compared as integers: `data` may belong to no chunk at all.
bool Arena::is_latest(const void* data, size_t bytes) const {
    if (chunks_.empty()) return false;
    const auto begin = reinterpret_cast<uintptr_t>(data), chunk = reinterpret_cast<uintptr_t>(chunks_.back().get());
    return begin >= chunk && begin + bytes == reinterpret_cast<uintptr_t>(cursor_);
}

bool Arena::extend(const void* data, size_t old_bytes, size_t new_bytes) {
    if (!is_latest(data, old_bytes) || static_cast<size_t>(chunk_end_ - cursor_) < new_bytes - old_bytes) return false;
    cursor_ += new_bytes - old_bytes;
    return true;
}

void Arena::shrink(const void* data, size_t old_bytes, size_t new_bytes) {
    if (is_latest(data, old_bytes)) cursor_ -= old_bytes - new_bytes;
}

}  // namespace ponder::jinja
