// SPDX-License-Identifier: Apache-2.0
// Attention over the cache, a page at a time with a running softmax: a page is widened to float32 once for all the queries that read it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

// A head's elements of cached rows in float32.
struct Wide {
    const float* data;
    int64_t stride;
};

// Elements [first, first + n) of n_tokens cached rows of `width` elements at `page`: where they lie, or widened to dst [n_tokens, n].
Wide widen(const Run& run, const QuantType& type, const std::byte* page, int64_t width, int64_t first, int64_t n, int64_t n_tokens,
           float* dst, float* blocks) {
    if (type.id == PONDER_TYPE_F32) return {reinterpret_cast<const float*>(page) + first, width};
    const uint64_t row_size = *row_bytes(type, static_cast<uint64_t>(width));
    for (int64_t t = 0; t < n_tokens; t++) {
        const std::byte* row = page + static_cast<uint64_t>(t) * row_size;
        if (type.id == PONDER_TYPE_F16) {
            run.kernels.widen_half(reinterpret_cast<const uint16_t*>(row) + first, dst + t * n, n);
            continue;
        }
        // Whole blocks around the slice.
        const int64_t begin = first / type.block_len, end = (first + n + type.block_len - 1) / type.block_len;
        type.decode(row + begin * type.block_bytes, blocks, end - begin);
        std::copy_n(blocks + first - begin * type.block_len, n, dst + t * n);
    }
    return {dst, n};
}

}  // namespace

void add_attend_sizes(const ponder_program& program, int64_t k_dim, int64_t v_dim, int64_t n_heads, Sizes& sizes) {
    const int64_t tokens = program.kv_page_tokens, blocks = 2 * int64_t{find_quant_type(program.kv_type)->block_len};
    sizes.keys = std::max(sizes.keys, static_cast<size_t>(tokens * k_dim));
    sizes.values = std::max(sizes.values, static_cast<size_t>(tokens * v_dim));
    sizes.scores = std::max(sizes.scores, static_cast<size_t>(std::max(tokens * n_heads, std::max(k_dim, v_dim) + blocks)));
    sizes.state = std::max(sizes.state, static_cast<size_t>(kAttendRows * n_heads * 2));
}

void attend(const Run& run, const AttentionItem& item, ThreadScratch& scratch) {
    const CachedHeads& cache = item.cache;
    const QuantType& type = *find_quant_type(run.program.kv_type);
    const int32_t sequence = run.batch.sequences[item.first_row];
    const int64_t page_tokens = run.program.kv_page_tokens;
    const int64_t n_past = int64_t{run.batch.positions[item.first_row + item.n_rows - 1]} + 1;
    struct State {
        float top, total;
    };
    auto* states = reinterpret_cast<State*>(scratch.state.data());
    for (int64_t i = 0; i < item.n_rows * item.n_heads; i++) states[i] = {-std::numeric_limits<float>::infinity(), 0.0f};
    for (int64_t i = 0; i < item.n_rows; i++) std::fill_n(item.dst + i * item.dst_stride, item.n_heads * cache.v_dim, 0.0f);

    for (int64_t first = 0; first < n_past; first += page_tokens) {
        if (run.should_stop()) return;
        const int64_t n_tokens = std::min(page_tokens, n_past - first);
        const std::byte* page = run.cache_row(sequence, first, 0, 0);
        const Wide keys = widen(run, type, page + cache.k_offset, cache.k_width, cache.k_first, cache.k_dim, n_tokens, scratch.keys.data(),
                                scratch.scores.data());
        const Wide values = cache.has_values ? widen(run, type, page + cache.v_offset, cache.v_width, cache.v_first, cache.v_dim, n_tokens,
                                                     scratch.values.data(), scratch.scores.data())
                                             : keys;
        for (int64_t i = 0; i < item.n_rows; i++) {
            const int64_t n_seen = std::min<int64_t>(n_tokens, run.batch.positions[item.first_row + i] + 1 - first);
            if (n_seen <= 0) continue;
            float* scores = scratch.scores.data();
            float* dst = item.dst + i * item.dst_stride;
            run.kernels.score(item.q + i * item.q_stride, item.n_heads, keys.data, keys.stride, n_seen, cache.k_dim, item.scale, scores,
                              page_tokens);
            for (int64_t h = 0; h < item.n_heads; h++) {
                // Online softmax (Milakov, Gimelshein 2018): what was summed before is rescaled whenever a larger score appears.
                State& state = states[i * item.n_heads + h];
                float* own = scores + h * page_tokens;
                const float top = std::max(state.top, run.kernels.largest(own, n_seen));
                if (top != state.top) {
                    const float rescale = std::exp(state.top - top);
                    state.total *= rescale;
                    if (first > 0) run.kernels.multiply_by(dst + h * cache.v_dim, rescale, cache.v_dim);
                    state.top = top;
                }
                state.total += run.kernels.exponentials(own, n_seen, top);
            }
            run.kernels.add_weighted(scores, page_tokens, item.n_heads, values.data, values.stride, n_seen, dst, cache.v_dim);
        }
    }
    for (int64_t i = 0; i < item.n_rows; i++) {
        for (int64_t h = 0; h < item.n_heads; h++)
            run.kernels.multiply_by(item.dst + i * item.dst_stride + h * cache.v_dim, 1.0f / states[i * item.n_heads + h].total,
                                    cache.v_dim);
    }
}

std::vector<RowRun> list_row_runs(const ponder_run& batch) {
    std::vector<RowRun> runs;
    for (int32_t r = 0; r < batch.n_rows; r++) {
        const bool goes_on = r > 0 && batch.sequences[r] == batch.sequences[r - 1] && batch.positions[r] == batch.positions[r - 1] + 1;
        if (goes_on && runs.back().n < kAttendRows)
            runs.back().n++;
        else
            runs.push_back({r, 1});
    }
    return runs;
}

void add_attention_sizes(const ponder_program& program, const ponder_op& op, Sizes& sizes) {
    const ponder_attention_params& p = op.params.attention;
    add_attend_sizes(program, p.k_head_dim, p.v_head_dim, p.n_heads / p.n_kv_heads, sizes);
}

void attention(const Run& run, std::span<const ponder_op> ops) {
    const ponder_op& op = ops[0];
    const ponder_attention_params& p = op.params.attention;
    const int64_t group = p.n_heads / p.n_kv_heads, q_stride = int64_t{p.n_heads} * p.k_head_dim,
                  dst_stride = int64_t{p.n_heads} * p.v_head_dim;
    const std::vector<RowRun> runs = list_row_runs(run.batch);
    run.pool.parallel_for(static_cast<int64_t>(runs.size()) * p.n_kv_heads, [&](int64_t i, int thread) {
        const RowRun rows = runs[static_cast<size_t>(i / p.n_kv_heads)];
        const int64_t head = i % p.n_kv_heads;
        const AttentionItem item = {
            .cache = {.k_offset = p.kv.k_offset,
                      .v_offset = p.kv.v_offset,
                      .k_width = p.kv.k_width,
                      .v_width = p.kv.v_width,
                      .k_first = head * p.k_head_dim,
                      .v_first = head * p.v_head_dim,
                      .k_dim = p.k_head_dim,
                      .v_dim = p.v_head_dim,
                      .has_values = true},
            .first_row = rows.first,
            .n_rows = rows.n,
            .n_heads = group,
            .q = run.rows(op.src[0]) + rows.first * q_stride + head * group * p.k_head_dim,
            .q_stride = q_stride,
            .dst = run.rows(op.dst[0]) + rows.first * dst_stride + head * group * p.v_head_dim,
            .dst_stride = dst_stride,
            .scale = p.scale,
        };
        attend(run, item, run.plan.threads[static_cast<size_t>(thread)]);
    });
}

}  // namespace ponder::cpu
