// SPDX-License-Identifier: Apache-2.0
// A file name in a folder of its own that is removed with it.
#pragma once

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace ponder_test {

class TempFile {
  public:
    explicit TempFile(const std::string& name) {
        std::string folder = (std::filesystem::temp_directory_path() / "ponder-test-XXXXXX").string();
        if (::mkdtemp(folder.data()) != nullptr) folder_ = folder;
        path_ = folder_ + "/" + name;
    }
    ~TempFile() {
        std::error_code ignored;
        if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
    }
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;

    const std::string& path() const { return path_; }

    void write(const void* data, size_t size) const {
        std::FILE* file = std::fopen(path_.c_str(), "wb");
        if (file == nullptr) return;
        if (size > 0) std::fwrite(data, 1, size, file);
        std::fclose(file);
    }

  private:
    std::string folder_, path_;
};

}  // namespace ponder_test
