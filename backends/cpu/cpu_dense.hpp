// SPDX-License-Identifier: Apache-2.0
// Products of dense matrices by oneDNN, where the build has it. Both compute on the calling thread alone; false: oneDNN has failed, and dst
// holds nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ponder::cpu {

// From so many source rows on, oneDNN is faster than a product of every pair of rows; without oneDNN it never is.
bool takes_dense(int64_t n_rows);
// The same of bfloat16, where the processor has instructions for it.
bool takes_dense_bf16(int64_t n_rows);

// dst[i * stride + r] = sum over k of x[i * n_cols + k] * weights[r * n_cols + k], i < n_rows, r < n.
bool multiply_dense(const float* x, int64_t n_rows, int64_t n_cols, const float* weights, int64_t n, float* dst, int64_t stride);
// The same of bfloat16, summed in float32; source rows are x_stride bytes apart.
bool multiply_dense_bf16(const std::byte* x, int64_t x_stride, int64_t n_rows, int64_t n_cols, const std::byte* weights, int64_t n,
                         float* dst, int64_t stride);

}  // namespace ponder::cpu
