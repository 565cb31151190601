// SPDX-License-Identifier: Apache-2.0
// The operators: one plain function each, over rows of float32.
#pragma once

#include "ref_device.hpp"

namespace ponder::ref {

// One run of a plan, as operators see it.
struct Run {
    ponder_compiled& plan;
    const ponder_run& batch;

    const ponder_operand& operand(int32_t id) const { return plan.program->operands[id]; }
    // Rows of an activation or output [n_rows(id), width(id)].
    float* rows(int32_t id) const { return plan.scratch.get() + operand(id).offset * static_cast<uint64_t>(plan.max_rows); }
    int64_t width(int32_t id) const { return operand(id).dims[0]; }
    int64_t n_rows(int32_t id) const { return operand(id).role == PONDER_OPERAND_OUTPUT ? batch.n_outputs : batch.n_rows; }
    const std::byte* weight(int32_t id) const { return operand(id).buffer->data + operand(id).offset; }
    // A weight of type F32 that is a vector; null for an absent operand.
    const float* vector(int32_t id) const { return id < 0 ? nullptr : reinterpret_cast<const float*>(weight(id)); }
    // Where a row of the cache's keys or values lies; `offset` and `row_bytes` say which and how long.
    std::byte* cache_row(int32_t sequence, int64_t position, uint64_t offset, uint64_t row_bytes) const;
    bool should_stop() const { return batch.should_stop != nullptr && batch.should_stop(batch.user_data) != 0; }
};

using OpFunction = void (*)(const Run& run, const ponder_op& op);

// Null for kinds that this backend does not know.
OpFunction find_op(int32_t kind);

// dst [n_rows, n_out] = src [n_rows, n_in] x weight [n_out, n_in] + bias. Each result depends on its own row alone, bit for bit: never on
// the number of rows in the batch or of threads.
void multiply(const Run& run, const float* src, int64_t n_rows, int32_t weight, const float* bias, float* dst);

void attention(const Run& run, const ponder_op& op);
void kv_write(const Run& run, const ponder_op& op);

}  // namespace ponder::ref
