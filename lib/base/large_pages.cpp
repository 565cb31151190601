// SPDX-License-Identifier: Apache-2.0
// Reads /sys/kernel/mm/transparent_hugepage and /proc/self/smaps.
#include "base/large_pages.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <memory>

#include "base/small_file.hpp"

namespace ponder {

uint64_t large_page_size(const std::string& root) {
    const std::string folder = root + "/sys/kernel/mm/transparent_hugepage/";
    const std::string modes = read_small_file(folder + "enabled");  // "always [madvise] never"
    if (modes.find("[always]") == std::string::npos && modes.find("[madvise]") == std::string::npos) return 0;
    return parse_number(read_small_file(folder + "hpage_pmd_size")).value_or(0);
}

uint64_t bytes_in_large_pages(std::span<const std::byte> mapping, const std::string& root) {
    const auto first = reinterpret_cast<uintptr_t>(mapping.data()), last = first + mapping.size();
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen((root + "/proc/self/smaps").c_str(), "re"), std::fclose);
    if (file == nullptr) return 0;
    uint64_t total = 0;
    bool is_inside = false;
    // Longer lines are names of files; what is left of them looks like no other line.
    for (char buffer[512]; std::fgets(buffer, sizeof buffer, file.get()) != nullptr;) {
        unsigned long long begin = 0, end = 0;
        if (std::sscanf(buffer, "%llx-%llx ", &begin, &end) == 2) {
            is_inside = begin >= first && begin < last;
        } else if (is_inside) {
            total += 1024 * find_number(buffer, "FilePmdMapped:").value_or(0);
        }
    }
    return total;
}

namespace {

size_t known_large_page_size() noexcept try {
    static const auto size = static_cast<size_t>(large_page_size());
    return size;
} catch (...) {
    return 0;  // no memory for the names of files
}

}  // namespace

std::byte* map_for_large_pages(size_t n, uintptr_t offset) noexcept {
    const size_t large = known_large_page_size(), spare = large != 0 && n >= large ? large : 0;
    if (n + spare < n) return nullptr;
    void* mapped = ::mmap(nullptr, n + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* begin = static_cast<std::byte*>(mapped);
    if (spare == 0) return begin;
    const size_t before = (offset - reinterpret_cast<uintptr_t>(mapped)) % large;
    if (before > 0) ::munmap(mapped, before);
    begin += before;
    if (before < spare) ::munmap(begin + n, spare - before);
    prefer_large_pages({begin, n});
    return begin;
}

void prefer_large_pages(std::span<const std::byte> memory) {
#ifdef MADV_HUGEPAGE
    if (!memory.empty()) ::madvise(const_cast<std::byte*>(memory.data()), memory.size(), MADV_HUGEPAGE);
#else
    static_cast<void>(memory);
#endif
}

}  // namespace ponder
