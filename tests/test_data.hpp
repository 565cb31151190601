// SPDX-License-Identifier: Apache-2.0
// Where third-party test data lies, and how a test says that it was skipped for want of it.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

namespace ponder_test {

inline std::string data_path(const std::string& relative) { return std::string(PONDER_TEST_DATA) + "/" + relative; }

// Pieces of data that tests of this program looked for in vain. test_main.cpp makes "skipped" of the whole program then, since ctest knows
// nothing smaller.
inline int n_skipped = 0;

// True if the data is there; otherwise prints "skipped: <path> is missing" and the test should return.
inline bool has_data(const std::string& relative) {
    if (std::filesystem::exists(data_path(relative))) return true;
    ++n_skipped;
    MESSAGE("skipped: " << data_path(relative) << " is missing");
    return false;
}

}  // namespace ponder_test
