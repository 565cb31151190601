// SPDX-License-Identifier: Apache-2.0
// Transparent large pages: what the system gives on request, and how much of a file's mapping has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ponder {

// Bytes of a large page; 0 where a process gets none on request. `root` comes before every path that is read: a folder that stands for /
// in tests.
uint64_t large_page_size(const std::string& root = {});

// Bytes of a mapped file that large pages of the system's file cache hold and that this process has touched. Reads the list of all of the
// process's mappings.
uint64_t bytes_in_large_pages(std::span<const std::byte> mapping, const std::string& root = {});

// n bytes, whole pages, of zeros that begin `offset` bytes behind a large page's boundary, in large pages where the system has them and
// there is room for one; null if it has no memory.
std::byte* map_for_large_pages(size_t n, uintptr_t offset) noexcept;

// Asks for large pages for memory that is not in use yet. Only a hint.
void prefer_large_pages(std::span<const std::byte> memory);

}  // namespace ponder
