// SPDX-License-Identifier: Apache-2.0
// The operators that the reference computes in its own way, one plain function each.
#pragma once

#include "host/host_run.hpp"
#include "ref_device.hpp"

namespace ponder::ref {

using host::Assignment;
using host::HeldMatrix;
using host::Matrix;

// One run of a plan, as operators see it.
struct Run : host::Run {
    Run(Plan& own, const ponder_run& run, ponder_error* error) : host::Run(own, run, error), plan(own) {}
    Plan& plan;
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
void mla_attention(const Run& run, const ponder_op& op);
void add_mla_scratch(const ponder_program& program, const ponder_op& op, int32_t max_rows, ScratchSizes& sizes);
void moe_ffn(const Run& run, const ponder_op& op);
void add_moe_scratch(const ponder_program& program, const ponder_op& op, int32_t max_rows, ScratchSizes& sizes);

}  // namespace ponder::ref
