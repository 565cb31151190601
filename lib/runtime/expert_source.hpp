// SPDX-License-Identifier: Apache-2.0
// Connects a program's streamed weights to the cache that reads them.
#pragma once

#include <cstdint>
#include <set>
#include <span>

#include "op/program.hpp"
#include "runtime/expert_cache.hpp"

namespace ponder {

// Of one program; used by one run at a time. Program and cache must outlive it.
class ExpertSource {
  public:
    ExpertSource(const Program& program, ExpertCache& cache);
    ExpertSource(const ExpertSource&) = delete;
    ExpertSource& operator=(const ExpertSource&) = delete;

    const ponder_slice_source* view() const { return &view_; }
    // After a run that failed or was cancelled: it will not come for what it asked for.
    void abandon();

    // Bytes of the largest gate, up and down matrices of one layer together: what a run holds at once. 0 without streamed weights.
    static uint64_t largest_expert(const Program& program);

  private:
    ExpertCache::Matrix matrix(int32_t operand, int32_t slice) const;
    void prefetch(int32_t operand, std::span<const int32_t> slices, bool is_guess);

    const Program& program_;
    ExpertCache& cache_;
    ponder_slice_source view_{};
    std::set<int32_t> guessed_operands_;  // of the layer that was guessed last
};

// The source of a whole program for one of its pieces (op/partition.hpp), which has other numbers for its operands.
class PieceSource {
  public:
    // operands: [operands of the piece], the whole program's numbers. Both must outlive this.
    PieceSource(const ponder_slice_source& whole, std::span<const OperandId> operands);
    PieceSource(const PieceSource&) = delete;
    PieceSource& operator=(const PieceSource&) = delete;

    const ponder_slice_source* view() const { return &view_; }

  private:
    const ponder_slice_source& whole_;
    std::span<const OperandId> operands_;
    ponder_slice_source view_{};
};

}  // namespace ponder
