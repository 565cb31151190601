// SPDX-License-Identifier: Apache-2.0
// What every backend asks of a run before it touches memory. Runs come from the library's own runtime; what would reach out of bounds is
// refused all the same.
#pragma once

#include <cstdint>

#include "ponder/ponder_backend.h"

namespace ponder::host {

// Operators [begin, end).
struct RunPart {
    int32_t begin, end;

    bool operator==(const RunPart&) const = default;
};

// The operators that a run is about: all of them, or those between two transfers of a split model. Of a run without a fault.
RunPart part_of(const ponder_program& program, const ponder_run& run);

// Who asks for the likeliest tokens of each output; null if nobody does.
ponder_selection* selections_of(const ponder_run& run);

// The bounds of one compiled program, which has to outlive it.
class RunCheck {
  public:
    RunCheck() = default;
    RunCheck(const ponder_program& program, int32_t max_rows, int32_t max_outputs);

    // Why a run would reach out of bounds; null if it does not.
    const char* find_fault(const ponder_run& run) const;

  private:
    const ponder_program* program_ = nullptr;
    int32_t max_rows_ = 0, max_outputs_ = 0;
    int64_t n_tokens_ = 0;  // token numbers below this have a row in every embedding table
    int32_t n_slots_ = 0;   // of rows from and to the run's host memory
    bool has_streams_ = false;
};

}  // namespace ponder::host
