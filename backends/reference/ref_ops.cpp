// SPDX-License-Identifier: Apache-2.0
// The operators' table, norms and activations.
#include "ref_ops.hpp"

#include <algorithm>
#include <cmath>

namespace ponder::ref {

namespace {

void add_row(float* x, const float* delta, int64_t width) {
    for (int64_t i = 0; i < width; i++) x[i] += delta[i];
}

// RMSNorm, arXiv 1910.07467: dst = x / sqrt(mean(x^2) + epsilon) * weight. In place is fine.
void rms_norm_group(const float* x, const float* weight, float epsilon, int64_t length, float* dst) {
    double sum = 0.0;
    for (int64_t i = 0; i < length; i++) sum += double{x[i]} * double{x[i]};
    const float scale = 1.0f / std::sqrt(static_cast<float>(sum / static_cast<double>(length)) + epsilon);
    for (int64_t i = 0; i < length; i++) dst[i] = x[i] * scale * weight[i];
}

void rms_norm(const Run& run, const ponder_op& op) {
    float* x = run.rows(op.src[0]);
    float* dst = run.rows(op.dst[0]);
    const float* delta = op.src[2] < 0 ? nullptr : run.rows(op.src[2]);
    const int64_t width = run.width(op.src[0]), group = run.width(op.src[1]);
    const int64_t end = op.params.rms_norm.n_first > 0 ? op.params.rms_norm.n_first : width;
    const float* weight = run.vector(op.src[1]);
    run.pool.parallel_for(run.n_rows(op.src[0]), [&](int64_t r, int) {
        if (delta != nullptr) add_row(x + r * width, delta + r * width, width);
        for (int64_t begin = 0; begin < end; begin += group) {
            rms_norm_group(x + r * width + begin, weight, op.params.rms_norm.epsilon, group, dst + r * width + begin);
        }
    });
}

void matmul(const Run& run, const ponder_op& op) {
    multiply(run, run.rows(op.src[0]), run.n_rows(op.src[0]), run.matrix(op.src[1]), run.vector(op.src[2]), run.rows(op.dst[0]));
}

void logits(const Run& run, const ponder_op& op) {
    multiply(run, run.rows(op.src[0]), run.batch.n_outputs, run.matrix(op.src[1]), run.vector(op.src[2]), run.batch.logits);
}

void swiglu(const Run& run, const ponder_op& op) {
    const float* gate = run.rows(op.src[0]);
    const float* up = run.rows(op.src[1]);
    float* dst = run.rows(op.dst[0]);
    const int64_t width = run.width(op.dst[0]);
    run.pool.parallel_for(run.n_rows(op.dst[0]),
                          [&](int64_t r, int) { swiglu_row(gate + r * width, up + r * width, dst + r * width, width); });
}

struct OpRow {
    int32_t kind;
    OpFunction function;
};

template <void (*Function)(const host::Run& run, const ponder_op& op)>
void shared(const Run& run, const ponder_op& op) {
    Function(run, op);
}

constexpr OpRow kOps[] = {
    {PONDER_OP_EMBED, shared<host::embed>},
    {PONDER_OP_RMS_NORM, rms_norm},
    {PONDER_OP_MATMUL, matmul},
    {PONDER_OP_ROPE, shared<host::rope>},
    {PONDER_OP_KV_WRITE, shared<host::kv_write>},
    {PONDER_OP_ATTENTION, attention},
    {PONDER_OP_SWIGLU, swiglu},
    {PONDER_OP_ADD, shared<host::add>},
    {PONDER_OP_LOGITS, logits},
    {PONDER_OP_GATHER_ROWS, shared<host::gather_rows>},
    {PONDER_OP_MOE_ROUTE, shared<host::moe_route>},
    {PONDER_OP_MLA_ATTENTION, mla_attention},
    {PONDER_OP_MOE_FFN, moe_ffn},
    {PONDER_OP_MOE_PREFETCH, shared<host::moe_prefetch>},
    {PONDER_OP_RECEIVE, shared<host::receive>},
    {PONDER_OP_SEND, shared<host::send>},
};

}  // namespace

// SwiGLU, arXiv 2002.05202.
void swiglu_row(const float* gate, const float* up, float* dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

OpFunction find_op(int32_t kind) {
    for (const OpRow& row : kOps) {
        if (row.kind == kind) return row.function;
    }
    return nullptr;
}

}  // namespace ponder::ref
