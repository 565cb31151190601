// SPDX-License-Identifier: Apache-2.0
// Read-only file mappings over POSIX mmap.
#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <system_error>
#include <utility>

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

void MappedFile::prefer_large_pages() const {
#ifdef MADV_HUGEPAGE
    // Only a hint: most file systems have large pages for what they read from now on, others none.
    if (size_ > 0) ::madvise(const_cast<std::byte*>(data_), size_, MADV_HUGEPAGE);
#endif
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
