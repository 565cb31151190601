// SPDX-License-Identifier: Apache-2.0
// Norms and activations.
#include <cmath>

#include "cpu_plan.hpp"

namespace ponder::cpu {

// RMSNorm, arXiv 1910.07467: dst = x / sqrt(mean(x^2) + epsilon) * weight, over groups of the weight's length.
void rms_norm(const Run& run, std::span<const ponder_op> ops) {
    const ponder_op& op = ops[0];
    float* x = run.rows(op.src[0]);
    float* dst = run.rows(op.dst[0]);
    const float* delta = op.src[2] < 0 ? nullptr : run.rows(op.src[2]);
    const float* weight = run.vector(op.src[1]);
    const int64_t width = run.width(op.src[0]), group = run.width(op.src[1]);
    const int64_t end = op.params.rms_norm.n_first > 0 ? op.params.rms_norm.n_first : width;
    run.pool.parallel_for(run.n_rows(op.src[0]), [&](int64_t r, int) {
        for (int64_t at = r * width; at < r * width + end; at += group) {
            const double squares = run.kernels.add_and_square(x + at, delta != nullptr ? delta + at : nullptr, group);
            const float mean = static_cast<float>(squares / static_cast<double>(group));
            run.kernels.scale_by(x + at, weight, 1.0f / std::sqrt(mean + op.params.rms_norm.epsilon), dst + at, group);
        }
    });
}

void swiglu(const Run& run, std::span<const ponder_op> ops) {
    const ponder_op& op = ops[0];
    const int64_t width = run.width(op.dst[0]);
    run.pool.parallel_for(run.n_rows(op.dst[0]), [&](int64_t r, int) {
        run.kernels.swiglu(run.rows(op.src[0]) + r * width, run.rows(op.src[1]) + r * width, run.rows(op.dst[0]) + r * width, width);
    });
}

}  // namespace ponder::cpu
