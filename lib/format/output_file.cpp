// SPDX-License-Identifier: Apache-2.0
// Temporary file, write, flush, rename.
#include "format/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

namespace ponder {

namespace {

// One write call takes at most about 2 GiB on Linux; smaller pieces also bound how long one call blocks.
constexpr size_t kMaxWriteBytes = 64u << 20;
constexpr int kMaxNameAttempts = 100;

// Unique inside the process by the counter, between processes by the id; leftovers of a crashed process are stepped over by O_EXCL.
std::string temporary_name(const std::string& path) {
    static std::atomic<uint64_t> counter{0};
    return path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path) {
    OutputFile file;
    file.path_ = path;
    file.target_ = path;
    std::error_code problem;
    const std::filesystem::file_status status = std::filesystem::status(path, problem);
    if (std::filesystem::exists(status)) {
        if (!std::filesystem::is_regular_file(status)) {
            return make_error(PONDER_STATUS_IO, "%s: cannot be replaced: not a regular file", path.c_str());
        }
        const std::filesystem::path target = std::filesystem::canonical(path, problem);
        if (problem) return file.failure("cannot follow the link", problem.value());
        file.target_ = target.string();
    }
    for (int attempt = 0; attempt < kMaxNameAttempts && file.fd_ < 0; ++attempt) {
        std::string name = temporary_name(file.target_);
        file.fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file.fd_ >= 0) {
            file.temporary_ = std::move(name);
        } else if (errno != EEXIST) {
            break;
        }
    }
    if (file.fd_ < 0) return file.failure("cannot create a file beside it", errno);
    return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept { *this = std::move(other); }

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(n_written_, other.n_written_);
    std::swap(path_, other.path_);
    std::swap(target_, other.target_);
    std::swap(temporary_, other.temporary_);
    return *this;
}

OutputFile::~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Error OutputFile::failure(const char* action, int code) const {
    return make_error(PONDER_STATUS_IO, "%s: %s: %s", path_.c_str(), action, std::generic_category().message(code).c_str());
}

Result<void> OutputFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd_, bytes.data(), std::min(bytes.size(), kMaxWriteBytes));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return failure("cannot write", n == 0 ? ENOSPC : errno);
        bytes = bytes.subspan(static_cast<size_t>(n));
        n_written_ += static_cast<uint64_t>(n);
    }
    return {};
}

Result<void> OutputFile::flush() {
    // Some file systems report a full disk only here.
    if (::fsync(fd_) != 0) return failure("cannot flush to the disk", errno);
    (void)::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);  // only a hint
    return {};
}

Result<void> OutputFile::commit() {
    if (::fsync(fd_) != 0) return failure("cannot flush to the disk", errno);
    if (::close(std::exchange(fd_, -1)) != 0) return failure("cannot close", errno);
    if (std::rename(temporary_.c_str(), target_.c_str()) != 0) return failure("cannot rename the finished file", errno);
    temporary_.clear();
    return {};
}

}  // namespace ponder
