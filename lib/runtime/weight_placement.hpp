// SPDX-License-Identifier: Apache-2.0
// Puts a file's weights where a device can use them, and says how much of them has to be in memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/device.hpp"
#include "format/model_file.hpp"
#include "op/program.hpp"

namespace ponder {

// The weights of a program that stay in memory: all but streamed ones and what find_row_table finds. Each once.
std::vector<std::span<const std::byte>> resident_weights(const Program& program);
uint64_t resident_bytes(const Program& program);

// The operand that is a table of which only single rows are read; -1 if there is none.
int32_t find_row_table(const Program& program);

// Owns the buffers. File and device must outlive it.
class WeightPlacement {
  public:
    // Imports (or copies) every mapped file as one buffer.
    Result<void> place_files(const Device& device, const ModelFile& file);

    // Gives every weight of a program its buffer; what lies in no file gets one of its own, kept as long as this object.
    Result<void> bind(const Device& device, Program& program);

  private:
    struct Region {
        std::span<const std::byte> bytes;
        Buffer buffer;
    };
    // Null if no file holds the bytes.
    const Region* find(const void* data) const;

    std::vector<Region> regions_;  // one a file, by address
    std::vector<Buffer> constants_;
};

}  // namespace ponder
