// SPDX-License-Identifier: Apache-2.0
// Limits from sysconf and from control groups; blocks from anonymous mappings.
#include "base/host_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/control_group.hpp"
#include "base/large_pages.hpp"
#include "base/small_file.hpp"

namespace ponder {

uint64_t memory_limit() {
    const uint64_t machine = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return std::min(machine, memory_limit_of_groups());
}

uint64_t memory_available(const std::string& root) {
    const auto kilobytes = find_number(read_small_file(root + "/proc/meminfo"), "MemAvailable:");
    return kilobytes ? std::min(1024 * *kilobytes, memory_left_in_groups(root)) : memory_limit();
}

MemoryBlock::MemoryBlock(size_t n_bytes) {
    if (n_bytes == 0) return;
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t n_mapped = (n_bytes + page - 1) / page * page;
    if (n_mapped < n_bytes) return;
    data_ = map_for_large_pages(n_mapped, 0);
    if (data_ != nullptr) size_ = n_bytes;
}

MemoryBlock::MemoryBlock(MemoryBlock&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MemoryBlock& MemoryBlock::operator=(MemoryBlock&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MemoryBlock::~MemoryBlock() {
    if (data_ != nullptr) ::munmap(data_, size_);
}

void touch_pages(std::span<const std::byte> bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    for (size_t i = 0; i < bytes.size(); i += page) static_cast<void>(*static_cast<const volatile std::byte*>(bytes.data() + i));
    if (!bytes.empty()) static_cast<void>(*static_cast<const volatile std::byte*>(&bytes.back()));
}

}  // namespace ponder
