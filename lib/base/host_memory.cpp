// SPDX-License-Identifier: Apache-2.0
// Limits from sysconf and from the files of control groups, version 1 and 2; blocks from anonymous mappings.
#include "base/host_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ponder {

namespace {

// Files of /proc and of control groups have no size beforehand, and are short.
std::string read_small_file(const std::string& path) {
    std::string text;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return text;
    char buffer[4096];
    for (ssize_t n = 0; text.size() < sizeof buffer && (n = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(n));
    ::close(fd);
    return text;
}

// The number in a limit's file; "max" and files that are not there are no limit.
uint64_t read_limit(const std::string& path) {
    const std::string text = read_small_file(path);
    uint64_t limit = UINT64_MAX;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), limit);
    return parsed.ec == std::errc{} ? limit : UINT64_MAX;
}

// The smallest limit of a group and of those that it lies in.
uint64_t limit_of_group(const std::string& root, std::string group, const char* file) {
    uint64_t limit = read_limit(root + "/" + file);
    while (group.size() > 1) {
        limit = std::min(limit, read_limit(root + group + "/" + file));
        group.resize(group.rfind('/'));
    }
    return limit;
}

// Lines of /proc/self/cgroup: "0::/path" (version 2), "9:memory:/path" (version 1).
uint64_t control_group_limit() {
    uint64_t limit = UINT64_MAX;
    const std::string groups = read_small_file("/proc/self/cgroup");
    for (std::string_view rest = groups; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos || second + 1 >= line.size() || line[second + 1] != '/')
            continue;
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        const std::string group(line.substr(second + 1));
        if (controllers.empty()) limit = std::min(limit, limit_of_group("/sys/fs/cgroup", group, "memory.max"));
        if (controllers == "memory") limit = std::min(limit, limit_of_group("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
    return limit;
}

}  // namespace

uint64_t memory_limit() {
    const uint64_t machine = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return std::min(machine, control_group_limit());
}

MemoryBlock::MemoryBlock(size_t n_bytes) {
    if (n_bytes == 0) return;
    void* data = ::mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return;
    data_ = static_cast<std::byte*>(data);
    size_ = n_bytes;
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
