// SPDX-License-Identifier: Apache-2.0
// Implementation of whole-or-nothing output files.
#include "output_file.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "failure.hpp"

namespace ponder::tool {

OutputFile::OutputFile(const std::string& path) : path_(path) {
    struct stat status = {};
    const bool exists = stat(path.c_str(), &status) == 0;
    if (exists && !S_ISREG(status.st_mode)) {
        file_ = std::fopen(path.c_str(), "wb");
        if (file_ == nullptr) fail_with_errno();
        return;
    }
    if (exists) {
        // Through a link: the file that it names is replaced, not the link.
        char* resolved = realpath(path.c_str(), nullptr);
        if (resolved == nullptr) fail_with_errno();
        path_ = resolved;
        std::free(resolved);
    }
    temporary_ = path_ + "." + std::string(6, 'X');  // mkstemp puts letters of its own in their place
    const int fd = mkstemp(temporary_.data());
    if (fd < 0) {
        temporary_.clear();
        fail_with_errno();
    }
    // mkstemp makes a private file; give it the mode that a plain new file would have had.
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, exists ? status.st_mode & 0777 : 0666 & ~mask);
    file_ = fdopen(fd, "wb");
    if (file_ == nullptr) {
        close(fd);
        unlink(temporary_.c_str());
        fail_with_errno();
    }
}

OutputFile::~OutputFile() {
    if (file_ != nullptr) std::fclose(file_);
    if (!temporary_.empty()) unlink(temporary_.c_str());
}

void OutputFile::write(const void* bytes, size_t size) {
    if (size > 0 && std::fwrite(bytes, 1, size, file_) != size) fail_with_errno();
}

void OutputFile::commit() {
    if (std::fflush(file_) != 0) fail_with_errno();
    if (!temporary_.empty() && fsync(fileno(file_)) != 0) fail_with_errno();
    std::FILE* file = file_;
    file_ = nullptr;
    if (std::fclose(file) != 0) fail_with_errno();
    if (temporary_.empty()) return;
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno();
    temporary_.clear();
}

void OutputFile::fail_with_errno() { fail("%s: %s", path_.c_str(), std::strerror(errno)); }

}  // namespace ponder::tool
