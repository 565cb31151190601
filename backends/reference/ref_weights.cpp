// SPDX-License-Identifier: Apache-2.0
// Where weights lie and how their rows are decoded, and the working memory that a program's operators ask for.
#include <algorithm>

#include "ref_ops.hpp"

namespace ponder::ref {

void Matrix::decode(int64_t first, int64_t n, float* dst) const {
    const uint64_t bytes = static_cast<uint64_t>(n_cols / type->block_len) * type->block_bytes;
    type->decode(data + static_cast<uint64_t>(first) * bytes, dst, n * n_cols / type->block_len);
    if (scales != nullptr) scale_f8_rows(dst, n_cols, first, n, scales);
}

const std::byte* Run::weight(int32_t id, int64_t slice) const {
    const ponder_operand& weight = operand(id);
    if (weight.is_streamed != 0) return nullptr;
    if (weight.slices != nullptr) return weight.slices[slice].buffer->data + weight.slices[slice].offset;
    return weight.buffer->data + weight.offset + static_cast<uint64_t>(slice) * (weight.n_bytes / static_cast<uint64_t>(weight.dims[2]));
}

Matrix Run::matrix(int32_t id, int64_t slice) const {
    const ponder_operand& weight = operand(id);
    return {find_quant_type(weight.type), weight.dims[0], weight.dims[1], this->weight(id, slice),
            weight.scales < 0 ? nullptr : this->weight(weight.scales, slice)};
}

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
