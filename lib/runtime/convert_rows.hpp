// SPDX-License-Identifier: Apache-2.0
// Cuts a tensor of the new file into pieces of bounded size, each widened from its source and encoded by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/convert_plan.hpp"

namespace ponder::convert {

inline constexpr int64_t kPieceElements = 1 << 16;

// Elements [first_col, first_col + n_cols) of rows [first_row, first_row + n_rows) of one matrix.
struct Piece {
    int64_t matrix, first_row, n_rows, first_col, n_cols;
};

// Memory of one thread.
struct Scratch {
    std::vector<float> values;  // [n_rows, n_cols] of a piece
    std::vector<float> row;     // one row of the source
};

class Pieces {
  public:
    // `tensor` outlives it. importance: [dims[2], dims[0]], or empty.
    Pieces(const OutputTensor& tensor, std::vector<float> importance);

    int64_t n_pieces() const { return tensor_.dims[2] * per_matrix_; }
    // Where piece i begins in the tensor's bytes; n_pieces() gives their number. Pieces lie one behind the other.
    uint64_t offset(int64_t i) const;
    // Sizes `scratch` for any piece; encode() allocates nothing.
    void reserve(Scratch& scratch) const;
    // Writes piece i to dst [offset(i + 1) - offset(i)].
    void encode(int64_t i, Scratch& scratch, std::byte* dst) const;
    Piece piece(int64_t i) const;

  private:
    void widen(const Piece& piece, Scratch& scratch) const;
    void widen_rotary(const Piece& piece, Scratch& scratch) const;
    void widen_latent_keys(const Piece& piece, Scratch& scratch) const;

    const OutputTensor& tensor_;
    std::vector<float> importance_;
    int64_t rows_per_piece_ = 1, cols_per_piece_ = 0;
    int64_t pieces_per_row_ = 1;  // more than 1 only with one row a piece
    int64_t per_matrix_ = 0;
};

}  // namespace ponder::convert
