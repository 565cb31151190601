// SPDX-License-Identifier: Apache-2.0
// Row-wise operators: embedding, rotary embedding, cache writes, sums, gathers, transfers.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "host_run.hpp"

namespace ponder::host {

void embed(const Run& run, const ponder_op& op) {
    const Matrix table = run.matrix(op.src[0]);
    float* dst = run.rows(op.dst[0]);
    run.pool.parallel_for(run.batch.n_rows, [&](int64_t r, int) { table.decode(run.batch.tokens[r], 1, dst + r * table.n_cols); });
}

// RoPE, arXiv 2104.09864. Angles are computed in double: at position 100,000 a float32 angle would be off by 0.004.
void rope(const Run& run, const ponder_op& op) {
    const ponder_rope_params& p = op.params.rope;
    const float* frequencies = run.vector(op.src[1]);
    const int64_t width = run.width(op.src[0]);
    float* x = run.rows(op.src[0]);
    const bool is_adjacent = p.style == PONDER_ROPE_ADJACENT;
    const int64_t n_pairs = p.n_rot / 2, step = is_adjacent ? 2 : 1;
    run.pool.parallel_for(run.batch.n_rows, [&](int64_t r, int) {
        // Some pairs of all heads at a time: their angles are the same.
        constexpr int64_t kPairs = 64;
        float cosines[kPairs], sines[kPairs];
        for (int64_t first = 0; first < n_pairs; first += kPairs) {
            const int64_t n = std::min(kPairs, n_pairs - first);
            for (int64_t i = 0; i < n; i++) {
                const double angle = double{frequencies[first + i]} * run.batch.positions[r];
                cosines[i] = static_cast<float>(std::cos(angle)) * p.magnitude;
                sines[i] = static_cast<float>(std::sin(angle)) * p.magnitude;
            }
            for (int64_t head = 0; head < p.n_heads; head++) {
                float* pairs = x + r * width + head * p.head_dim + p.n_before + first * step;
                const auto rotate = [&](float& a, float& b, int64_t i) {
                    const float rotated = a * cosines[i] - b * sines[i];
                    b = a * sines[i] + b * cosines[i];
                    a = rotated;
                };
                if (is_adjacent)
                    for (int64_t i = 0; i < n; i++) rotate(pairs[2 * i], pairs[2 * i + 1], i);
                else
                    for (int64_t i = 0; i < n; i++) rotate(pairs[i], pairs[i + n_pairs], i);
            }
        }
    });
}

void kv_write(const Run& run, const ponder_op& op) {
    const ponder_kv_params& p = op.params.kv_write;
    const QuantType& type = *find_quant_type(run.program.kv_type);
    const uint64_t k_bytes = *row_bytes(type, static_cast<uint64_t>(p.k_width)),
                   v_bytes = *row_bytes(type, static_cast<uint64_t>(p.v_width));
    const float* k = run.rows(op.src[0]);
    const float* v = p.v_width > 0 ? run.rows(op.src[1]) : nullptr;
    run.pool.parallel_for(run.batch.n_rows, [&](int64_t r, int) {
        const int32_t sequence = run.batch.sequences[r], position = run.batch.positions[r];
        type.encode(k + r * p.k_width, run.cache_row(sequence, position, p.k_offset, k_bytes), p.k_width / type.block_len, nullptr);
        if (v == nullptr) return;
        type.encode(v + r * p.v_width, run.cache_row(sequence, position, p.v_offset, v_bytes), p.v_width / type.block_len, nullptr);
    });
}

void add(const Run& run, const ponder_op& op) {
    float* x = run.rows(op.src[0]);
    const float* delta = run.rows(op.src[1]);
    const int64_t n = run.n_rows(op.src[0]) * run.width(op.src[0]);
    for (int64_t i = 0; i < n; i++) x[i] += delta[i];
}

void receive(const Run& run, const ponder_op& op) {
    const auto n = static_cast<size_t>(run.n_rows(op.dst[0]) * run.width(op.dst[0]));
    std::memcpy(run.rows(op.dst[0]), run.batch.transfers[op.params.transfer.slot], n * sizeof(float));
}

void send(const Run& run, const ponder_op& op) {
    const auto n = static_cast<size_t>(run.n_rows(op.src[0]) * run.width(op.src[0]));
    std::memcpy(run.batch.transfers[op.params.transfer.slot], run.rows(op.src[0]), n * sizeof(float));
}

void gather_rows(const Run& run, const ponder_op& op) {
    const float* src = run.rows(op.src[0]);
    float* dst = run.rows(op.dst[0]);
    const int64_t width = run.width(op.dst[0]);
    for (int64_t o = 0; o < run.batch.n_outputs; o++) {
        std::memcpy(dst + o * width, src + run.batch.output_rows[o] * width, static_cast<size_t>(width) * sizeof(float));
    }
}

}  // namespace ponder::host
