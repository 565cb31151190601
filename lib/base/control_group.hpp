// SPDX-License-Identifier: Apache-2.0
// What control groups, with which containers are made, allow this process. Version 1 and 2; the limits of all groups around count.
#pragma once

#include <cstdint>
#include <string>

namespace ponder {

// `root` comes before every path that is read: a folder that stands for / in tests.

// Bytes; UINT64_MAX without a limit.
uint64_t memory_limit_of_groups(const std::string& root = {});
// Bytes that are left below the limits, file caches not counted as used; UINT64_MAX without a limit.
uint64_t memory_left_in_groups(const std::string& root = {});

// Seconds of processor time a second; infinity without a limit.
double cpu_limit_of_groups(const std::string& root = {});

}  // namespace ponder
