// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/host_memory.hpp"
#include "base/large_pages.hpp"
#include "root_folder.hpp"

using namespace ponder;
using Root = ponder_test::RootFolder;

TEST_CASE("large_pages: on request, or not at all") {
    const Root root;
    CHECK(large_page_size(root.path()) == 0);
    const std::string folder = "/sys/kernel/mm/transparent_hugepage/";
    root.write(folder + "hpage_pmd_size", "2097152\n");
    CHECK(large_page_size(root.path()) == 0);
    root.write(folder + "enabled", "always madvise [never]\n");
    CHECK(large_page_size(root.path()) == 0);
    root.write(folder + "enabled", "always [madvise] never\n");
    CHECK(large_page_size(root.path()) == 2'097'152);
    root.write(folder + "enabled", "[always] madvise never\n");
    CHECK(large_page_size(root.path()) == 2'097'152);
}

TEST_CASE("large_pages: those of one mapping are counted") {
    const Root root;
    root.write("/proc/self/smaps",
               "00001000-00002000 r--p 00000000 fe:00 11   /other\nSize:  4 kB\nFilePmdMapped:     8 kB\nVmFlags: rd mr\n"
               "00200000-00600000 r--p 00000000 fe:00 12   /model\nSize:  4096 kB\nFilePmdMapped:     2048 kB\nVmFlags: rd mr\n"
               "00600000-00800000 r--p 00000000 00:00 0 \nSize:  2048 kB\nFilePmdMapped:        0 kB\nVmFlags: rd mr\n"
               "00800000-00a00000 r--p 00600000 fe:00 12   /model\nSize:  2048 kB\nFilePmdMapped:     4 kB\nVmFlags: rd mr\n");
    const auto bytes = [&](uintptr_t begin, size_t n) {
        return bytes_in_large_pages({reinterpret_cast<const std::byte*>(begin), n}, root.path());
    };
    CHECK(bytes(0x200000, 0x800000) == (2048 + 4) * 1024);
    CHECK(bytes(0x200000, 0x400000) == 2048 * 1024);
    CHECK(bytes(0x1000, 0x1000) == 8 * 1024);
    CHECK(bytes(0xa00000, 0x1000) == 0);
    CHECK(bytes_in_large_pages({}, Root().path()) == 0);
}

TEST_CASE("large_pages: available memory is the system's figure, within the groups' limit") {
    const Root root;
    CHECK(memory_available(root.path()) == memory_limit());
    root.write("/proc/meminfo", "MemTotal:       24684400 kB\nMemFree:        10000 kB\nMemAvailable:   20000 kB\nBuffers: 5 kB\n");
    CHECK(memory_available(root.path()) == 20'000 * 1024);
    root.write("/proc/self/cgroup", "0::/app\n");
    root.write("/sys/fs/cgroup/app/memory.max", "1048576\n");
    CHECK(memory_available(root.path()) == 1'048'576);
    // What the group holds, but for the files that the system caches for it.
    root.write("/sys/fs/cgroup/app/memory.current", "900000\n");
    root.write("/sys/fs/cgroup/app/memory.stat", "anon 100\nfile 600000\nkernel 5\n");
    CHECK(memory_available(root.path()) == 1'048'576 - 300'000);
    root.write("/sys/fs/cgroup/app/memory.current", "9000000\n");
    CHECK(memory_available(root.path()) == 0);
}
