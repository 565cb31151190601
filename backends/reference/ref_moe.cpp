// SPDX-License-Identifier: Apache-2.0
// The feed-forward of the experts chosen, one expert with all its rows at a time.
#include <algorithm>
#include <span>
#include <vector>

#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

// Works on the rows of one expert: gathers them, runs the gated feed-forward, adds the weighted results to dst.
void run_expert(const Run& run, const ponder_op& op, std::span<const Assignment> rows) {
    const int32_t expert = rows.front().expert;
    const bool is_fused = op.src[4] < 0;
    const HeldMatrix gate(run, op.src[3], expert), up(run, op.src[4], expert), down(run, op.src[5], expert);
    if (run.should_stop()) return;

    const int64_t n = static_cast<int64_t>(rows.size()), n_embd = run.width(op.src[0]), n_ff = run.width(op.src[5]);
    float* x = run.plan.experts.data();           // [n, n_embd], later the results
    float* hidden = x + run.max_rows * n_embd;    // [n, n_ff]
    float* gates = hidden + run.max_rows * n_ff;  // [n, n_ff or 2 * n_ff]
    float* ups = gates + run.max_rows * n_ff;     // [n, n_ff]
    const float* src = run.rows(op.src[0]);
    for (int64_t i = 0; i < n; i++) std::copy_n(src + rows[static_cast<size_t>(i)].row * n_embd, n_embd, x + i * n_embd);
    multiply(run, x, n, gate.get(), nullptr, gates);
    if (!is_fused) multiply(run, x, n, up.get(), nullptr, ups);
    for (int64_t i = 0; i < n; i++) {
        const float* row = gates + i * (is_fused ? 2 * n_ff : n_ff);
        swiglu_row(row, is_fused ? row + n_ff : ups + i * n_ff, hidden + i * n_ff, n_ff);
    }
    multiply(run, hidden, n, down.get(), nullptr, x);
    float* dst = run.rows(op.dst[0]);
    for (int64_t i = 0; i < n; i++) {
        const Assignment& a = rows[static_cast<size_t>(i)];
        for (int64_t j = 0; j < n_embd; j++) dst[a.row * n_embd + j] += a.weight * x[i * n_embd + j];
    }
}

}  // namespace

void add_moe_scratch(const ponder_program& program, const ponder_op& op, int32_t max_rows, ScratchSizes& sizes) {
    const int64_t n_embd = program.operands[op.src[0]].dims[0], n_ff = program.operands[op.src[5]].dims[0];
    add_multiply_scratch(n_embd, sizes);
    add_multiply_scratch(n_ff, sizes);
    sizes.experts = std::max(sizes.experts, static_cast<size_t>(max_rows * (n_embd + 3 * n_ff)));
}

void moe_ffn(const Run& run, const ponder_op& op) {
    const std::pmr::vector<Assignment> all = host::sort_assignments(run, op.src[1], run.rows(op.src[2]));
    std::vector<std::span<const Assignment>> by_expert;
    for (size_t begin = 0; begin < all.size();) {
        size_t end = begin;
        while (end < all.size() && all[end].expert == all[begin].expert) end++;
        by_expert.push_back(std::span(all).subspan(begin, end - begin));
        begin = end;
    }
    for (const auto& rows : by_expert) {
        for (const int i : {3, 4, 5}) host::prefetch(run, op.src[i], rows.front().expert, false);
    }
    std::fill_n(run.rows(op.dst[0]), run.n_rows(op.dst[0]) * run.width(op.dst[0]), 0.0f);
    for (const auto& rows : by_expert) {
        if (run.should_stop()) return;
        run_expert(run, op, rows);
    }
}

}  // namespace ponder::ref
