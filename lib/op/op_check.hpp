// SPDX-License-Identifier: Apache-2.0
// What every operator demands of its operands, and how scratch memory is shared between them.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "ponder/ponder_backend.h"

namespace ponder {

// Name of an operator kind for messages, such as "matmul".
const char* op_name(int32_t kind);

// Errors: INTERNAL, naming the operator, its layer and the rule that it breaks.
Result<void> check_op(const ponder_program& program, const ponder_op& op);

// Gives every activation and output an offset such that operands whose lifetimes overlap do not share floats (first fit).
// Returns the floats that one row needs; in a plan for up to max_rows rows, an operand starts at offset * max_rows.
uint64_t layout_scratch(std::span<ponder_operand> operands, std::span<const ponder_op> ops);

}  // namespace ponder
