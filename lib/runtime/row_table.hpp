// SPDX-License-Identifier: Apache-2.0
// The embedding table, of which a run needs few rows: they are read from the file when tokens ask for them, so that the table itself takes
// no memory. Through the mapping, the system would map stretches of its own choice around every row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/device.hpp"
#include "format/model_file.hpp"
#include "op/program.hpp"

namespace ponder {

// Of one program; used by one run at a time. Device and file must outlive it.
class RowTable {
  public:
    // Puts a buffer of max_rows rows in the place of the program's table. Null if the table stays in memory (find_row_table).
    static Result<std::unique_ptr<RowTable>> create(const Device& device, const ModelFile& file, Program& program, int32_t max_rows);

    // Bytes that it takes; 0 if the table stays in memory.
    static uint64_t memory_bytes(const Program& program, int32_t max_rows);

    // Row i of the buffer becomes the table's row tokens[i]. At most max_rows. Errors: INVALID_ARGUMENT (no such row), IO, DEVICE.
    Result<void> read(std::span<const int32_t> tokens);

  private:
    RowTable(const Device& device, const MappedFile* file, std::span<const std::byte> table, size_t row_bytes, size_t max_rows)
        : device_(device), file_(file), table_(table), row_bytes_(row_bytes), staging_(max_rows * row_bytes) {}

    const Device& device_;
    const MappedFile* file_;  // null: the table is in no file
    std::span<const std::byte> table_;
    size_t row_bytes_;
    std::vector<std::byte> staging_;  // [max_rows, row_bytes]
    Buffer buffer_;                   // the same, on the device
};

}  // namespace ponder
