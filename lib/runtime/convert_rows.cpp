// SPDX-License-Identifier: Apache-2.0
// Widening of pieces, with the layouts of Hugging Face models brought to GGUF's, and their encoding.
#include "runtime/convert_rows.hpp"

#include <algorithm>
#include <utility>

namespace ponder::convert {
namespace {

// Row of the source, which has the two halves of a head's rotary rows one behind the other, that becomes row `row` of a tensor with
// adjacent pairs: the pair (2j, 2j + 1) comes from (j, j + n_rot / 2).
int64_t halves_row(int64_t row, int64_t head_rows, int64_t n_rot) {
    const int64_t in_head = row % head_rows;
    if (in_head >= n_rot) return row;
    return row - in_head + in_head / 2 + (in_head % 2) * (n_rot / 2);
}

}  // namespace

Pieces::Pieces(const OutputTensor& tensor, std::vector<float> importance) : tensor_(tensor), importance_(std::move(importance)) {
    const bool can_cut_rows = tensor.layout == Layout::kAsStored && tensor.source->scales.empty();
    cols_per_piece_ = can_cut_rows ? std::min(tensor.dims[0], kPieceElements) : tensor.dims[0];
    pieces_per_row_ = (tensor.dims[0] + cols_per_piece_ - 1) / cols_per_piece_;
    if (pieces_per_row_ == 1) rows_per_piece_ = std::clamp<int64_t>(kPieceElements / tensor.dims[0], 1, tensor.dims[1]);
    per_matrix_ = (tensor.dims[1] + rows_per_piece_ - 1) / rows_per_piece_ * pieces_per_row_;
}

Piece Pieces::piece(int64_t i) const {
    Piece piece = {};
    piece.matrix = i / per_matrix_;
    piece.first_row = i % per_matrix_ / pieces_per_row_ * rows_per_piece_;
    piece.n_rows = std::min(rows_per_piece_, tensor_.dims[1] - piece.first_row);
    piece.first_col = i % per_matrix_ % pieces_per_row_ * cols_per_piece_;
    piece.n_cols = std::min(cols_per_piece_, tensor_.dims[0] - piece.first_col);
    return piece;
}

uint64_t Pieces::offset(int64_t i) const {
    const Piece start = piece(i);
    const int64_t row = start.matrix * tensor_.dims[1] + start.first_row;
    const auto n_blocks = static_cast<uint64_t>((row * tensor_.dims[0] + start.first_col) / tensor_.type->block_len);
    return n_blocks * tensor_.type->block_bytes;
}

void Pieces::reserve(Scratch& scratch) const {
    scratch.values.resize(static_cast<size_t>(rows_per_piece_ * cols_per_piece_));
    scratch.row.resize(static_cast<size_t>(tensor_.layout == Layout::kAsStored ? 0 : tensor_.source->dims[0]));
}

void Pieces::encode(int64_t i, Scratch& scratch, std::byte* dst) const {
    const Piece part = piece(i);
    const QuantType& type = *tensor_.type;
    widen(part, scratch);
    if (importance_.empty()) {
        type.encode(scratch.values.data(), dst, part.n_rows * part.n_cols / type.block_len, nullptr);
        return;
    }
    const float* importance = importance_.data() + part.matrix * tensor_.dims[0] + part.first_col;
    const int64_t blocks_per_row = part.n_cols / type.block_len;
    for (int64_t row = 0; row < part.n_rows; ++row) {
        type.encode(scratch.values.data() + row * part.n_cols, dst + row * blocks_per_row * type.block_bytes, blocks_per_row, importance);
    }
}

void Pieces::widen(const Piece& piece, Scratch& scratch) const {
    const StoredTensor& source = *tensor_.source;
    if (tensor_.layout == Layout::kRotaryPairs) return widen_rotary(piece, scratch);
    if (tensor_.layout == Layout::kLatentKeys) return widen_latent_keys(piece, scratch);
    if (tensor_.layout == Layout::kLatentValues) {
        const int64_t first = piece.matrix * tensor_.head_rows + tensor_.n_nope + piece.first_row;
        return source.decode_rows(0, first, piece.n_rows, scratch.values.data());
    }
    if (pieces_per_row_ == 1) return source.decode_rows(piece.matrix, piece.first_row, piece.n_rows, scratch.values.data());
    const QuantType& type = *find_quant_type(source.type);
    const auto first_block = static_cast<size_t>((piece.first_row * tensor_.dims[0] + piece.first_col) / type.block_len);
    type.decode(source.slice(piece.matrix).data() + first_block * type.block_bytes, scratch.values.data(), piece.n_cols / type.block_len);
}

void Pieces::widen_rotary(const Piece& piece, Scratch& scratch) const {
    const StoredTensor& source = *tensor_.source;
    if (tensor_.n_dims == 1) {  // a bias: its elements are what rows are to a matrix
        source.decode_rows(0, 0, 1, scratch.row.data());
        for (int64_t i = 0; i < piece.n_cols; ++i) {
            scratch.values[static_cast<size_t>(i)] = scratch.row[static_cast<size_t>(halves_row(i, tensor_.head_rows, tensor_.n_rot))];
        }
        return;
    }
    for (int64_t row = 0; row < piece.n_rows; ++row) {
        const int64_t from = halves_row(piece.first_row + row, tensor_.head_rows, tensor_.n_rot);
        source.decode_rows(0, from, 1, scratch.values.data() + row * tensor_.dims[0]);
    }
}

void Pieces::widen_latent_keys(const Piece& piece, Scratch& scratch) const {
    for (int64_t col = 0; col < piece.n_cols; ++col) {
        tensor_.source->decode_rows(0, piece.matrix * tensor_.head_rows + col, 1, scratch.row.data());
        for (int64_t row = 0; row < piece.n_rows; ++row) {
            scratch.values[static_cast<size_t>(row * piece.n_cols + col)] = scratch.row[static_cast<size_t>(piece.first_row + row)];
        }
    }
}

}  // namespace ponder::convert
