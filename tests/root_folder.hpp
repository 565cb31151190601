// SPDX-License-Identifier: Apache-2.0
// A folder that stands for / while the system's files about itself are read.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "temp_file.hpp"

namespace ponder_test {

class RootFolder {
  public:
    RootFolder() { REQUIRE(std::filesystem::create_directory(path())); }

    void write(const std::string& file, const std::string& text) const {
        const std::filesystem::path at = path() + file;
        std::filesystem::create_directories(at.parent_path());
        std::ofstream(at) << text;
    }
    const std::string& path() const { return folder_.path(); }

  private:
    const TempFile folder_{"files"};
};

}  // namespace ponder_test
