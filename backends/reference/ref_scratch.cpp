// SPDX-License-Identifier: Apache-2.0
// The working memory that a program's operators ask for.
#include <algorithm>

#include "ref_ops.hpp"

namespace ponder::ref {

ScratchSizes measure_scratch(const ponder_program& program, int32_t max_rows) {
    ScratchSizes sizes;
    for (int32_t i = 0; i < program.n_ops; i++) {
        const ponder_op& op = program.ops[i];
        if (op.kind == PONDER_OP_MATMUL || op.kind == PONDER_OP_LOGITS) add_multiply_scratch(program.operands[op.src[0]].dims[0], sizes);
        if (op.kind == PONDER_OP_ATTENTION) add_attention_scratch(program, op, sizes);
        if (op.kind == PONDER_OP_MLA_ATTENTION) add_mla_scratch(program, op, max_rows, sizes);
        if (op.kind == PONDER_OP_MOE_FFN) add_moe_scratch(program, op, max_rows, sizes);
    }
    return sizes;
}

}  // namespace ponder::ref
