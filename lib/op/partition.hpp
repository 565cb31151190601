// SPDX-License-Identifier: Apache-2.0
// Cuts a program in pieces, one for each of several devices, that exchange rows through host memory and together compute what it does.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "op/program.hpp"

namespace ponder {

// Operators [first_op, first_op + n_ops) of a piece, which run on its device without a break.
struct PieceStage {
    int32_t piece = 0;
    int32_t first_op = 0, n_ops = 0;
};

struct Partition {
    std::vector<Program> pieces;                   // [n_pieces], with caches of their own layers; some may have no operators
    std::vector<std::vector<OperandId>> operands;  // [n_pieces][operands of a piece]: the numbers that the whole program has for them
    std::vector<PieceStage> stages;                // in the order in which they run
    std::vector<int64_t> slot_widths;              // [n_slots]: floats of a row; slots are used again when their rows have arrived

    // Bytes of host memory for the rows on their way.
    uint64_t transfer_bytes(int32_t max_rows) const;
};

// piece_of_op: [whole's operators], each below n_pieces. All operators of a layer's cache must be in one piece. `whole` must outlive the
// pieces. Errors: INTERNAL, as ProgramBuilder::finish.
Result<Partition> make_partition(const Program& whole, std::span<const int32_t> piece_of_op, int32_t n_pieces);

}  // namespace ponder
