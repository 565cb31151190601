// SPDX-License-Identifier: Apache-2.0
// Files in which the system tells about itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ponder {

// Up to 4 KiB of a file of /proc or /sys, which have no size beforehand; empty if it cannot be read.
std::string read_small_file(const std::string& path);
// The number that a text begins with; nothing if it begins with none.
std::optional<uint64_t> parse_number(std::string_view text);
// The number behind `name`, which begins a line ("MemFree:    16 kB"); nothing if no line begins so, or no number follows.
std::optional<uint64_t> find_number(std::string_view text, std::string_view name);

}  // namespace ponder
