// SPDX-License-Identifier: Apache-2.0
// Row-wise operators: embedding, norms, rotary embedding, activation, sums, gathers.
#include "ref_ops.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ponder::ref {

namespace {

void embed(const Run& run, const ponder_op& op) {
    const Matrix table = run.matrix(op.src[0]);
    float* dst = run.rows(op.dst[0]);
    run.plan.device->pool->parallel_for(run.batch.n_rows,
                                        [&](int64_t r, int) { table.decode(run.batch.tokens[r], 1, dst + r * table.n_cols); });
}

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
    run.plan.device->pool->parallel_for(run.n_rows(op.src[0]), [&](int64_t r, int) {
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

// RoPE, arXiv 2104.09864. Angles are computed in double: at position 100,000 a float32 angle would be off by 0.004.
void rope(const Run& run, const ponder_op& op) {
    const ponder_rope_params& p = op.params.rope;
    const float* frequencies = run.vector(op.src[1]);
    const int64_t width = run.width(op.src[0]);
    float* x = run.rows(op.src[0]);
    const bool is_adjacent = p.style == PONDER_ROPE_ADJACENT;
    const int n_pairs = p.n_rot / 2;
    run.plan.device->pool->parallel_for(run.batch.n_rows, [&](int64_t r, int) {
        for (int i = 0; i < n_pairs; i++) {
            const double angle = double{frequencies[i]} * run.batch.positions[r];
            const float cosine = static_cast<float>(std::cos(angle)) * p.magnitude;
            const float sine = static_cast<float>(std::sin(angle)) * p.magnitude;
            for (int head = 0; head < p.n_heads; head++) {
                float* pair = x + r * width + int64_t{head} * p.head_dim + p.n_before;
                float& a = pair[is_adjacent ? 2 * i : i];
                float& b = pair[is_adjacent ? 2 * i + 1 : i + n_pairs];
                const float rotated = a * cosine - b * sine;
                b = a * sine + b * cosine;
                a = rotated;
            }
        }
    });
}

void swiglu(const Run& run, const ponder_op& op) {
    const float* gate = run.rows(op.src[0]);
    const float* up = run.rows(op.src[1]);
    float* dst = run.rows(op.dst[0]);
    const int64_t width = run.width(op.dst[0]);
    run.plan.device->pool->parallel_for(run.n_rows(op.dst[0]),
                                        [&](int64_t r, int) { swiglu_row(gate + r * width, up + r * width, dst + r * width, width); });
}

void add(const Run& run, const ponder_op& op) {
    add_row(run.rows(op.src[0]), run.rows(op.src[1]), run.n_rows(op.src[0]) * run.width(op.src[0]));
}

void gather_rows(const Run& run, const ponder_op& op) {
    const float* src = run.rows(op.src[0]);
    float* dst = run.rows(op.dst[0]);
    const int64_t width = run.width(op.dst[0]);
    for (int64_t o = 0; o < run.batch.n_outputs; o++) {
        std::memcpy(dst + o * width, src + run.batch.output_rows[o] * width, static_cast<size_t>(width) * sizeof(float));
    }
}

struct OpRow {
    int32_t kind;
    OpFunction function;
};

constexpr OpRow kOps[] = {
    {PONDER_OP_EMBED, embed},         {PONDER_OP_RMS_NORM, rms_norm},
    {PONDER_OP_MATMUL, matmul},       {PONDER_OP_ROPE, rope},
    {PONDER_OP_KV_WRITE, kv_write},   {PONDER_OP_ATTENTION, attention},
    {PONDER_OP_SWIGLU, swiglu},       {PONDER_OP_ADD, add},
    {PONDER_OP_LOGITS, logits},       {PONDER_OP_GATHER_ROWS, gather_rows},
    {PONDER_OP_MOE_ROUTE, moe_route}, {PONDER_OP_MLA_ATTENTION, mla_attention},
    {PONDER_OP_MOE_FFN, moe_ffn},     {PONDER_OP_MOE_PREFETCH, moe_prefetch},
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

std::byte* Run::cache_row(int32_t sequence, int64_t position, uint64_t offset, uint64_t row_bytes) const {
    const ponder_program& program = *plan.program;
    const int32_t page = batch.kv[sequence].pages[position / program.kv_page_tokens];
    const ponder_buffer* arena = batch.arenas[page / batch.pages_per_arena];
    const uint64_t begin = static_cast<uint64_t>(page % batch.pages_per_arena) * program.kv_page_bytes + offset;
    return arena->owned.get() + begin + static_cast<uint64_t>(position % program.kv_page_tokens) * row_bytes;
}

}  // namespace ponder::ref
