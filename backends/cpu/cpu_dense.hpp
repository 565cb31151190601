// SPDX-License-Identifier: Apache-2.0
// Products of float32 matrices by oneDNN, where the build has it.
#pragma once

#include <cstdint>

namespace ponder::cpu {

// From so many source rows on, oneDNN is faster than a product of every pair of rows; without oneDNN it never is.
bool takes_dense(int64_t n_rows);

// dst[i * stride + r] = sum over k of x[i * n_cols + k] * weights[r * n_cols + k], i < n_rows, r < n. On the calling thread alone.
// False: oneDNN has failed, and dst holds nothing.
bool multiply_dense(const float* x, int64_t n_rows, int64_t n_cols, const float* weights, int64_t n, float* dst, int64_t stride);

}  // namespace ponder::cpu
