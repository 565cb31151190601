// SPDX-License-Identifier: Apache-2.0
// Attention over the cache: rows of a prompt are items of work, and so are spans of a decoding row's cache.
#include <algorithm>
#include <cmath>

#include "cpu_attend.hpp"

namespace ponder::cpu {

namespace {

// A decoding row's cache is read in spans of at least so many tokens, which are work for different threads. Where it is cut depends on its
// length alone, so that results do not depend on the number of threads.
constexpr int64_t kSpanTokens = 256, kMostSpans = 16;
// Spans of all rows that are worked on together.
constexpr int64_t kSpansOfWave = 32;
static_assert(kSpansOfWave >= kMostSpans);
// Heads that read a span together where all read the same: each reads the tile anew, from the second-level cache.
constexpr int64_t kHeadsOfSpan = 32;

// Rows of a prompt that go through the cache together, where a row has so many heads: as many queries as widening and transposing a tile is
// worth, but fewer where that left less work at once than many threads need.
constexpr int64_t kQueriesOfItem = 96, kTiledQueriesOfItem = 192, kFewestRows = 8, kFewestItems = 32;
int64_t rows_of_item(int64_t n_heads, bool is_tiled) {
    return std::max(kFewestRows, (is_tiled ? kTiledQueriesOfItem : kQueriesOfItem) / n_heads);
}

}  // namespace

std::pmr::vector<RowRun> list_row_runs(const Run& run, int64_t max_rows) {
    const ponder_run& batch = run.batch;
    const auto goes_on = [&batch](int32_t r) {
        return r < batch.n_rows && batch.sequences[r] == batch.sequences[r - 1] && batch.positions[r] == batch.positions[r - 1] + 1;
    };
    std::pmr::vector<RowRun> runs(&run.lists);
    for (int32_t first = 0, end = 0; first < batch.n_rows; first = end) {
        end = first + 1;
        while (goes_on(end)) end++;
        const int64_t n = end - first, n_parts = (n + max_rows - 1) / max_rows;
        for (int64_t part = 0; part < n_parts; part++) {
            const auto begin = static_cast<int32_t>(n * part / n_parts), part_end = static_cast<int32_t>(n * (part + 1) / n_parts);
            runs.push_back({first + begin, part_end - begin});
        }
    }
    return runs;
}

namespace {

// Tokens of a span of so many, in whole tiles.
int64_t span_tokens(int64_t n_past) {
    const int64_t even = (n_past + kMostSpans - 1) / kMostSpans;
    return std::max(kSpanTokens, (even + kTileTokens - 1) / kTileTokens * kTileTokens);
}
int64_t n_spans(int64_t n_past) { return (n_past + span_tokens(n_past) - 1) / span_tokens(n_past); }

// Rows that are alone and have a long past go through it in spans, the others as items of their own.
class Attention {
  public:
    Attention(const Run& run, const AttentionHeads& heads)
        : run_(run),
          heads_(heads),
          span_group_(heads_of_span(heads.first.n_heads, heads.n_heads, heads.k_step == 0)),
          span_floats_(floats_of_span(span_group_, heads.first.cache.v_dim)) {}

    // Heads of a group that goes through a span together.
    static int64_t heads_of_span(int64_t group, int64_t n_heads, bool reads_same) {
        return reads_same ? std::min(n_heads, kHeadsOfSpan) : group;
    }
    static int64_t floats_of_span(int64_t n_heads, int64_t v_dim) { return n_heads * (padded(v_dim) + 2); }

    void run() {
        std::pmr::vector<RowRun> whole(&run_.lists), alone(&run_.lists);
        const int64_t n_groups = count_groups(heads_.first.n_heads),
                      even_rows = (run_.batch.n_rows * n_groups + kFewestItems - 1) / kFewestItems,
                      max_rows = std::clamp(even_rows, kFewestRows,
                                            rows_of_item(heads_.first.n_heads, attends_in_tiles(run_.kernels, run_.program)));
        for (const RowRun& rows : list_row_runs(run_, max_rows)) (rows.n == 1 && n_spans(n_past(rows)) > 1 ? alone : whole).push_back(rows);
        run_.pool.parallel_for(static_cast<int64_t>(whole.size()) * n_groups, [&](int64_t i, int thread) {
            if (run_.should_stop()) return;
            attend(run_, item(whole[static_cast<size_t>(i / n_groups)], i % n_groups, heads_.first.n_heads),
                   run_.plan.threads[static_cast<size_t>(thread)]);
        });
        std::pmr::vector<Span> wave(&run_.lists);
        for (size_t i = 0; i < alone.size() && !run_.should_stop(); i++) {
            const int64_t n = n_spans(n_past(alone[i]));
            for (int64_t s = 0; s < n; s++) wave.push_back({alone[i], s, n});
            const bool goes_on = i + 1 < alone.size() && static_cast<int64_t>(wave.size()) + n_spans(n_past(alone[i + 1])) <= kSpansOfWave;
            if (goes_on) continue;
            run_wave(wave);
            wave.clear();
        }
    }

  private:
    // Number `number` of the n spans of a row.
    struct Span {
        RowRun row;
        int64_t number, n;
    };

    int64_t n_past(const RowRun& row) const { return int64_t{run_.batch.positions[row.first]} + 1; }
    int64_t count_groups(int64_t size) const { return (heads_.n_heads + size - 1) / size; }

    void run_wave(std::span<const Span> wave) {
        const int64_t n_groups = count_groups(span_group_);
        float* memory = run_.plan.spans.data();  // [spans, groups]
        run_.pool.parallel_for(static_cast<int64_t>(wave.size()) * n_groups, [&](int64_t i, int thread) {
            if (run_.should_stop()) return;
            const Span& span = wave[static_cast<size_t>(i / n_groups)];
            const int64_t end = n_past(span.row), tokens = span_tokens(end);
            float* sums = memory + i * span_floats_;
            attend_row(run_, item(span.row, i % n_groups, span_group_), span.number * tokens, std::min(end, (span.number + 1) * tokens),
                       sums, states_of(sums), run_.plan.threads[static_cast<size_t>(thread)]);
        });
        if (run_.should_stop()) return;
        std::pmr::vector<int64_t> firsts(&run_.lists);
        for (size_t i = 0; i < wave.size(); i += static_cast<size_t>(wave[i].n)) firsts.push_back(static_cast<int64_t>(i));
        run_.pool.parallel_for(static_cast<int64_t>(firsts.size()) * heads_.n_heads, [&](int64_t i, int) {
            const int64_t first = firsts[static_cast<size_t>(i / heads_.n_heads)], head = i % heads_.n_heads;
            join(wave[static_cast<size_t>(first)], head, memory + (first * n_groups + head / span_group_) * span_floats_,
                 n_groups * span_floats_);
        });
    }

    State* states_of(float* sums) const { return reinterpret_cast<State*>(sums + span_group_ * padded(heads_.first.cache.v_dim)); }

    // Adds all spans of a row's head, `stride` apart, to the first, relative to the largest score of all.
    void join(const Span& first, int64_t head, float* spans, int64_t stride) const {
        const AttentionItem own = item(first.row, head / span_group_, span_group_);
        const int64_t width = padded(own.cache.v_dim), place = head % span_group_;
        State& state = states_of(spans)[place];
        float* sums = spans + place * width;
        const float top_before = state.top;
        for (int64_t s = 1; s < first.n; s++) state.top = std::max(state.top, states_of(spans + s * stride)[place].top);
        const float rescale = std::exp(top_before - state.top);
        state.total *= rescale;
        run_.kernels.multiply_by(sums, rescale, width);
        for (int64_t s = 1; s < first.n; s++) {
            const State& other = states_of(spans + s * stride)[place];
            const float weight = std::exp(other.top - state.top);
            state.total += weight * other.total;
            run_.kernels.add_weighted(&weight, sums + s * stride, width, 1, sums, width);
        }
        finish(own.cache, sums, &state, 1, own.dst + place * own.cache.v_dim);
    }

    AttentionItem item(const RowRun& rows, int64_t number, int64_t group) const {
        const CachedHeads& cache = heads_.first.cache;
        const int64_t head = number * group;
        AttentionItem own = heads_.first;
        own.cache.k_first += number * heads_.k_step;
        own.cache.v_first += number * heads_.v_step;
        own.first_row = rows.first;
        own.n_rows = rows.n;
        own.n_heads = std::min(group, heads_.n_heads - head);
        own.q += rows.first * own.q_stride + head * cache.k_dim;
        own.dst += rows.first * own.dst_stride + head * cache.v_dim;
        return own;
    }

    const Run& run_;
    const AttentionHeads& heads_;
    const int64_t span_group_, span_floats_;
};

}  // namespace

void add_heads_sizes(const ponder_program& program, int64_t k_dim, int64_t v_dim, int64_t n_heads, int64_t group, bool reads_same,
                     Sizes& sizes) {
    const int64_t span_group = Attention::heads_of_span(group, n_heads, reads_same);
    add_attend_sizes(program, k_dim, v_dim, std::max(rows_of_item(group, find_kernels(nullptr)->tiles != nullptr) * group, span_group),
                     sizes);
    const int64_t n_groups = (n_heads + span_group - 1) / span_group;
    grow(sizes.spans, kSpansOfWave * n_groups * Attention::floats_of_span(span_group, v_dim));
}

void attend_heads(const Run& run, const AttentionHeads& heads) { Attention(run, heads).run(); }

void add_attention_sizes(const ponder_program& program, const ponder_op& op, Sizes& sizes) {
    const ponder_attention_params& p = op.params.attention;
    add_heads_sizes(program, p.k_head_dim, p.v_head_dim, p.n_heads, p.n_heads / p.n_kv_heads, false, sizes);
}

void attention(const Run& run, std::span<const ponder_op> ops) {
    const ponder_op& op = ops[0];
    const ponder_attention_params& p = op.params.attention;
    attend_heads(run, {.first = {.cache = {.k_offset = p.kv.k_offset,
                                           .v_offset = p.kv.v_offset,
                                           .k_width = p.kv.k_width,
                                           .v_width = p.kv.v_width,
                                           .k_first = 0,
                                           .v_first = 0,
                                           .k_dim = p.k_head_dim,
                                           .v_dim = p.v_head_dim,
                                           .has_values = true},
                                 .first_row = 0,
                                 .n_rows = 0,
                                 .n_heads = p.n_heads / p.n_kv_heads,
                                 .q = run.rows(op.src[0]),
                                 .q_stride = int64_t{p.n_heads} * p.k_head_dim,
                                 .dst = run.rows(op.dst[0]),
                                 .dst_stride = int64_t{p.n_heads} * p.v_head_dim,
                                 .scale = p.scale},
                       .n_heads = p.n_heads,
                       .k_step = p.k_head_dim,
                       .v_step = p.v_head_dim});
}

}  // namespace ponder::cpu
