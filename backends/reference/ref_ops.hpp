// SPDX-License-Identifier: Apache-2.0
// The operators: one plain function each, over rows of float32.
#pragma once

#include "quant/quant.hpp"
#include "ref_device.hpp"

namespace ponder::ref {

// One matrix of a weight: what is needed to decode its rows.
struct Matrix {
    const QuantType* type = nullptr;
    int64_t n_cols = 0, n_rows = 0;
    const std::byte* data = nullptr;
    const std::byte* scales = nullptr;  // F8_E4M3 only

    // Rows [first, first + n) to dst [n, n_cols].
    void decode(int64_t first, int64_t n, float* dst) const;
};

// One run of a plan, as operators see it.
struct Run {
    ponder_compiled& plan;
    const ponder_run& batch;
    ponder_error* failure;  // PONDER_STATUS_OK until an operator fails

    const ponder_operand& operand(int32_t id) const { return plan.program->operands[id]; }
    // Rows of an activation or output [n_rows(id), width(id)].
    float* rows(int32_t id) const { return plan.scratch.get() + operand(id).offset * static_cast<uint64_t>(plan.max_rows); }
    int64_t width(int32_t id) const { return operand(id).dims[0]; }
    int64_t n_rows(int32_t id) const { return operand(id).role == PONDER_OPERAND_OUTPUT ? batch.n_outputs : batch.n_rows; }
    // Where matrix `slice` of a weight lies; for streamed ones nowhere: see ref_moe.cpp.
    const std::byte* weight(int32_t id, int64_t slice = 0) const;
    Matrix matrix(int32_t id, int64_t slice = 0) const;
    // A weight of type F32 that is a vector; null for an absent operand.
    const float* vector(int32_t id) const { return id < 0 ? nullptr : reinterpret_cast<const float*>(weight(id)); }
    // Where a row of the cache's keys or values lies; `offset` and `row_bytes` say which and how long.
    std::byte* cache_row(int32_t sequence, int64_t position, uint64_t offset, uint64_t row_bytes) const;
    bool should_stop() const {
        return failure->status != PONDER_STATUS_OK || (batch.should_stop != nullptr && batch.should_stop(batch.user_data) != 0);
    }
};

using OpFunction = void (*)(const Run& run, const ponder_op& op);

// Null for kinds that this backend does not know.
OpFunction find_op(int32_t kind);

// What all operators of a program ask for, for batches of up to max_rows.
ScratchSizes measure_scratch(const ponder_program& program, int32_t max_rows);

// dst [n_rows, weight.n_rows] = src [n_rows, weight.n_cols] x weight + bias. Each result depends on its own row alone, bit for bit: never
// on the number of rows in the batch or of threads.
void multiply(const Run& run, const float* src, int64_t n_rows, const Matrix& weight, const float* bias, float* dst);
void add_multiply_scratch(int64_t n_in, ScratchSizes& sizes);

// silu(gate) * up, n elements.
void swiglu_row(const float* gate, const float* up, float* dst, int64_t n);

void attention(const Run& run, const ponder_op& op);
void add_attention_scratch(const ponder_program& program, const ponder_op& op, ScratchSizes& sizes);
void kv_write(const Run& run, const ponder_op& op);
void mla_attention(const Run& run, const ponder_op& op);
void add_mla_scratch(const ponder_program& program, const ponder_op& op, int32_t max_rows, ScratchSizes& sizes);
void moe_route(const Run& run, const ponder_op& op);
void moe_ffn(const Run& run, const ponder_op& op);
void moe_prefetch(const Run& run, const ponder_op& op);
void add_moe_scratch(const ponder_program& program, const ponder_op& op, int32_t max_rows, ScratchSizes& sizes);

}  // namespace ponder::ref
