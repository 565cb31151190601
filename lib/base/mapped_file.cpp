// SPDX-License-Identifier: Apache-2.0
// Read-only file mappings over POSIX mmap.
#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <system_error>
#include <utility>

#include "base/large_pages.hpp"

namespace ponder {

namespace {

std::string describe_errno(int code) { return std::generic_category().message(code); }

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return make_error(PONDER_STATUS_IO, "%s: cannot open: %s", path.c_str(), describe_errno(errno).c_str());
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        ::close(fd);
        return make_error(PONDER_STATUS_IO, "%s: not a regular file", path.c_str());
    }
    MappedFile file;
    file.path_ = path;
    file.size_ = static_cast<size_t>(info.st_size);
    if (file.size_ > 0) {
        void* data = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            const int code = errno;
            ::close(fd);
            return make_error(PONDER_STATUS_IO, "%s: cannot map %zu bytes: %s", path.c_str(), file.size_, describe_errno(code).c_str());
        }
        file.data_ = static_cast<const std::byte*>(data);
    }
    file.fd_ = fd;
    return file;
}

Result<MappedFile> MappedFile::zeros(size_t n_bytes, const std::string& path) {
    MappedFile file;
    file.path_ = path;
    if (n_bytes == 0) return file;
    void* data = ::mmap(nullptr, n_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        return make_error(PONDER_STATUS_IO, "%s: cannot set %zu bytes of address space aside: %s", path.c_str(), n_bytes,
                          describe_errno(errno).c_str());
    }
    file.data_ = static_cast<const std::byte*>(data);
    file.size_ = n_bytes;
    return file;
}

bool MappedFile::contains(std::span<const std::byte> range) const {
    const std::less_equal<const std::byte*> precedes;  // ordered even for pointers into different files
    return precedes(data_, range.data()) && precedes(range.data() + range.size(), data_ + size_);
}

Result<void> MappedFile::read(uint64_t offset, std::span<std::byte> dst) const {
    for (size_t done = 0; done < dst.size();) {
        const ssize_t n = ::pread(fd_, dst.data() + done, dst.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return make_error(PONDER_STATUS_IO, "%s: cannot read: %s", path_.c_str(), describe_errno(errno).c_str());
        if (n == 0)
            return make_error(PONDER_STATUS_IO, "%s: ends before byte %zu", path_.c_str(), static_cast<size_t>(offset) + dst.size());
        done += static_cast<size_t>(n);
    }
    return {};
}

Result<void> MappedFile::read_once(uint64_t offset, std::span<std::byte> dst) const {
    if (auto done = read(offset, dst); !done) return done;
    ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(dst.size()), POSIX_FADV_DONTNEED);
    return {};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    if (fd_ >= 0) ::close(fd_);
}

void MappedFile::release(std::span<const std::byte> range) const {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
    const auto end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
    // Only a hint: where the system refuses it, memory is given back later.
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

Result<void> MappedFile::own(std::span<const std::byte> range,
                             const std::function<Result<void>(std::span<std::byte>, uint64_t)>& fill) const {
    if (range.empty()) return {};
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t begin = static_cast<size_t>(range.data() - data_) / page * page,
                 end = (static_cast<size_t>(range.data() - data_) + range.size() + page - 1) / page * page, n = end - begin;
    auto* place = const_cast<std::byte*>(data_) + begin;
    const auto no_memory = [&] {
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu of its bytes: %s", path_.c_str(), n,
                          describe_errno(errno).c_str());
    };
    struct Copy {
        std::byte* data;
        size_t size;
        ~Copy() {
            if (data != nullptr) ::munmap(data, size);
        }
    };
    // As far behind a large page's boundary as its place, so that moving it keeps large pages whole.
    Copy copy{map_for_large_pages(n, reinterpret_cast<uintptr_t>(place)), n};
    if (copy.data == nullptr) return no_memory();
    if (auto filled = fill({copy.data, std::min(n, size_ - begin)}, begin); !filled) return filled;
    if (::mprotect(copy.data, n, PROT_READ) != 0) return no_memory();
    if (::mremap(copy.data, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
        // The system may have taken the file's pages away before it failed.
        const auto failed = no_memory();
        ::mmap(place, n, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd_, static_cast<off_t>(begin));
        return failed;
    }
    copy.data = nullptr;
    return {};
}

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
    auto file = MappedFile::open(path);
    if (!file) return file.error();
    const auto bytes = file->bytes();
    if (bytes.size() > max_bytes) {
        return make_error(PONDER_STATUS_LIMIT, "%s: %zu bytes, the limit is %zu", path.c_str(), bytes.size(), max_bytes);
    }
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace ponder
