// SPDX-License-Identifier: Apache-2.0
// Limits from sysconf and from control groups; blocks from anonymous mappings.
#include "base/host_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
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
    constexpr std::string_view kField = "MemAvailable:";  // "MemAvailable:   24196344 kB"
    const std::string text = read_small_file(root + "/proc/meminfo");
    const size_t field = text.find(kField), digits = text.find_first_of("0123456789", std::min(field, text.size()));
    if (field == std::string::npos || digits == std::string::npos) return memory_limit();
    const uint64_t kilobytes = parse_number(std::string_view(text).substr(digits)).value_or(0);
    return std::min(1024 * kilobytes, memory_limit_of_groups(root));
}

MemoryBlock::MemoryBlock(size_t n_bytes) {
    if (n_bytes == 0) return;
    static const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE)), large = static_cast<size_t>(large_page_size());
    const size_t n_mapped = (n_bytes + page - 1) / page * page, spare = large != 0 && n_bytes >= large ? large : 0;
    if (n_mapped < n_bytes || n_mapped + spare < n_mapped) return;
    void* mapped = ::mmap(nullptr, n_mapped + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return;
    data_ = static_cast<std::byte*>(mapped);
    size_ = n_bytes;
    if (spare == 0) return;
    const size_t before = (large - reinterpret_cast<uintptr_t>(mapped) % large) % large;
    data_ += before;
    if (before > 0) ::munmap(mapped, before);
    if (before < spare) ::munmap(data_ + n_mapped, spare - before);
    prefer_large_pages({data_, n_mapped});
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
