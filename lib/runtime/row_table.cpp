// SPDX-License-Identifier: Apache-2.0
// Rows by pread, gathered in host memory and written to the device at once.
#include "runtime/row_table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/weight_placement.hpp"

namespace ponder {

namespace {

uint64_t row_bytes_of(const ponder_operand& table) { return table.n_bytes / static_cast<uint64_t>(table.dims[1]); }

}  // namespace

uint64_t RowTable::memory_bytes(const Program& program, int32_t max_rows) {
    const int32_t id = find_row_table(program);
    if (id < 0) return 0;
    return 2 * static_cast<uint64_t>(max_rows) * row_bytes_of(program.operands()[static_cast<size_t>(id)]);
}

Result<std::unique_ptr<RowTable>> RowTable::create(const Device& device, const ModelFile& file, Program& program, int32_t max_rows) {
    const int32_t id = find_row_table(program);
    if (id < 0) return std::unique_ptr<RowTable>();
    ponder_operand& operand = program.operands()[static_cast<size_t>(id)];
    const std::span table(static_cast<const std::byte*>(operand.host_data), static_cast<size_t>(operand.n_bytes));
    const auto mapped = std::find_if(file.files.begin(), file.files.end(), [&](const MappedFile& m) { return m.contains(table); });
    const auto row_bytes = static_cast<size_t>(row_bytes_of(operand));
    std::unique_ptr<RowTable> rows(
        new RowTable(device, mapped == file.files.end() ? nullptr : &*mapped, table, row_bytes, static_cast<size_t>(max_rows)));
    auto buffer = device.allocate(rows->staging_.size());
    if (!buffer) return buffer.error();
    rows->buffer_ = std::move(*buffer);
    operand.buffer = rows->buffer_.get();
    operand.offset = 0;
    operand.host_data = nullptr;
    operand.n_bytes = rows->staging_.size();
    operand.dims[1] = max_rows;
    return rows;
}

Result<void> RowTable::read(std::span<const int32_t> tokens) {
    const size_t n_rows = table_.size() / row_bytes_;
    for (size_t i = 0; i < tokens.size(); i++) {
        const auto token = static_cast<size_t>(tokens[i]);
        if (token >= n_rows) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "token %d has no row in the embedding", tokens[i]);
        const auto row = table_.subspan(token * row_bytes_, row_bytes_);
        const auto dst = std::span(staging_).subspan(i * row_bytes_, row_bytes_);
        if (file_ == nullptr) {
            std::memcpy(dst.data(), row.data(), row.size());
        } else if (auto done = file_->read(static_cast<uint64_t>(row.data() - file_->bytes().data()), dst); !done) {
            return done;
        }
    }
    return device_.write(buffer_, 0, std::span(staging_).first(tokens.size() * row_bytes_));
}

}  // namespace ponder
