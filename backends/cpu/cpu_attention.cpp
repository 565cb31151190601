// SPDX-License-Identifier: Apache-2.0
// Attention over the cache with a running softmax (online softmax: Milakov, Gimelshein 2018). A row alone, as in decoding, reads the cache
// as it is stored; rows of a prompt share tiles of it, widened and transposed once for all their queries.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

constexpr int64_t kTileTokens = 64;

// A decoding row's cache is read in spans of at least so many tokens, which are work for different threads. Where it is cut depends on its
// length alone, so that results do not depend on the number of threads.
constexpr int64_t kSpanTokens = 1024, kMostSpans = 16;
// Rows whose spans are worked on together.
constexpr int64_t kRowsOfWave = 4;

// The softmax so far of one query: its largest score, and the sum of exponentials relative to it.
struct State {
    float top = -std::numeric_limits<float>::infinity(), total = 0.0f;
};

// Elements [first, first + n) of cached rows, for kernels that take 16 elements at a time.
struct CachedRows {
    const CacheKernels* kernels;
    const std::byte* data;
    int64_t row_bytes, first;
};

class Cache {
  public:
    Cache(const Run& run, int32_t sequence) : run_(run), type_(*find_quant_type(run.program.kv_type)), sequence_(sequence) {}

    // Rows of tokens from `token` on, all of one page. Slices that no kernel takes are decoded into dst [n_tokens, n].
    CachedRows rows(int64_t token, int64_t n_tokens, uint64_t offset, int64_t width, int64_t first, int64_t n, float* dst) const {
        const auto row_size = static_cast<int64_t>(*row_bytes(type_, static_cast<uint64_t>(width)));
        const std::byte* data = run_.cache_row(sequence_, token, offset, static_cast<uint64_t>(row_size));
        if (first % 16 == 0 && n % 16 == 0) return {run_.kernels.find_cache(type_.id), data, row_size, first};
        const int64_t stride = padded(n), length = type_.block_len, begin = first / length, end = (first + n + length - 1) / length;
        float* blocks = dst + n_tokens * stride;
        for (int64_t t = 0; t < n_tokens; t++) {
            type_.decode(data + t * row_size + begin * type_.block_bytes, blocks, end - begin);
            std::copy_n(blocks + first - begin * length, n, dst + t * stride);
            std::fill_n(dst + t * stride + n, stride - n, 0.0f);
        }
        return {run_.kernels.find_cache(PONDER_TYPE_F32), reinterpret_cast<const std::byte*>(dst), stride * 4, 0};
    }
    // Floats that `dst` needs.
    static int64_t decoded_size(const QuantType& type, int64_t n) { return kTileTokens * padded(n) + n + 2 * type.block_len; }

    // The same as float32 in place or in dst [n_tokens, padded(n)], and how far apart its rows are.
    std::pair<const float*, int64_t> widen(const CachedRows& rows, int64_t n_tokens, int64_t n, float* dst) const {
        if (rows.kernels->type == PONDER_TYPE_F32) return {reinterpret_cast<const float*>(rows.data) + rows.first, rows.row_bytes / 4};
        for (int64_t t = 0; t < n_tokens; t++) rows.kernels->widen(rows.data + t * rows.row_bytes, rows.first, n, dst + t * n);
        return {dst, n};
    }

  private:
    const Run& run_;
    const QuantType& type_;
    const int32_t sequence_;
};

// Scores [n] of one query become exponentials relative to the largest so far, and what was summed before is rescaled.
void advance(const Run& run, State& state, float* scores, int64_t n, float* sums, int64_t n_sums) {
    const float top = std::max(state.top, run.kernels.largest(scores, n));
    if (top != state.top) {
        const float rescale = std::exp(state.top - top);
        state.total *= rescale;
        if (state.total > 0.0f) run.kernels.multiply_by(sums, rescale, n_sums);
        state.top = top;
    }
    state.total += run.kernels.exponentials(scores, n, top);
}

// Rows of n floats, n_padded apart.
void copy_padded(const float* src, int64_t stride, int64_t n_rows, int64_t n, float factor, float* dst, int64_t dst_stride) {
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t i = 0; i < n; i++) dst[r * dst_stride + i] = src[r * stride + i] * factor;
        std::fill_n(dst + r * dst_stride + n, dst_stride - n, 0.0f);
    }
}

// One row's queries over tokens [begin, end): sums [n_heads, padded(v_dim)], not yet divided by the states' totals.
void attend_row(const Run& run, const AttentionItem& item, int64_t begin, int64_t end, float* sums, State* states, ThreadScratch& scratch) {
    const CachedHeads& cache = item.cache;
    const Cache rows(run, run.batch.sequences[item.first_row]);
    const int64_t k_padded = padded(cache.k_dim), v_padded = padded(cache.v_dim), page_tokens = run.program.kv_page_tokens;
    float *queries = scratch.queries.data(), *scores = scratch.scores.data();
    copy_padded(item.q, cache.k_dim, item.n_heads, cache.k_dim, 1.0f, queries, k_padded);
    std::fill_n(sums, item.n_heads * v_padded, 0.0f);
    std::fill_n(states, item.n_heads, State{});
    for (int64_t first = begin, n = 0; first < end; first += n) {
        if (run.should_stop()) return;
        n = std::min({kTileTokens, end - first, page_tokens - first % page_tokens});
        const CachedRows keys = rows.rows(first, n, cache.k_offset, cache.k_width, cache.k_first, cache.k_dim, scratch.keys.data());
        keys.kernels->score(queries, item.n_heads, keys.data, keys.row_bytes, keys.first, n, k_padded, item.scale, scores, kTileTokens);
        for (int64_t h = 0; h < item.n_heads; h++) advance(run, states[h], scores + h * kTileTokens, n, sums + h * v_padded, v_padded);
        const CachedRows values =
            cache.has_values ? rows.rows(first, n, cache.v_offset, cache.v_width, cache.v_first, cache.v_dim, scratch.values.data()) : keys;
        values.kernels->add_weighted(scores, kTileTokens, item.n_heads, values.data, values.row_bytes, values.first, n, sums, v_padded);
    }
}

// sums [n_heads, padded(v_dim)] / totals to dst [n_heads, v_dim].
void finish(const CachedHeads& cache, const float* sums, const State* states, int64_t n_heads, float* dst) {
    for (int64_t h = 0; h < n_heads; h++)
        copy_padded(sums + h * padded(cache.v_dim), 0, 1, cache.v_dim, 1.0f / states[h].total, dst + h * cache.v_dim, cache.v_dim);
}

// Keys of a tile, [n_nope + n_rope, kTileTokens], of its latents [n_latent + n_rope, kTileTokens].
const float* expand_keys(const Run& run, const HeadMaps& maps, const float* latents, int64_t n, float* dst) {
    run.kernels.product(maps.keys, maps.n_latent, maps.n_nope, latents, kTileTokens, maps.n_latent, padded(n), dst, kTileTokens, false);
    const int64_t n_dims = maps.n_nope + maps.n_rope;
    std::copy_n(latents + maps.n_latent * kTileTokens, maps.n_rope * kTileTokens, dst + maps.n_nope * kTileTokens);
    std::fill_n(dst + n_dims * kTileTokens, (padded(n_dims) - n_dims) * kTileTokens, 0.0f);
    return dst;
}

// All queries of the item's rows, [row][head], as one matrix.
void attend_rows(const Run& run, const AttentionItem& item, ThreadScratch& scratch) {
    const CachedHeads& cache = item.cache;
    const Cache rows(run, run.batch.sequences[item.first_row]);
    const int64_t q_dim = item.maps == nullptr ? cache.k_dim : item.maps->n_nope + item.maps->n_rope, q_padded = padded(q_dim),
                  k_padded = padded(cache.k_dim), v_padded = padded(cache.v_dim), page_tokens = run.program.kv_page_tokens,
                  n_queries = item.n_rows * item.n_heads;
    const auto position = [&](int64_t row) { return int64_t{run.batch.positions[item.first_row + row]}; };
    float *queries = scratch.queries.data(), *scores = scratch.scores.data(), *sums = scratch.sums_of_heads.data();
    auto* states = reinterpret_cast<State*>(scratch.state.data());
    for (int64_t i = 0; i < item.n_rows; i++)
        copy_padded(item.q + i * item.q_stride, q_dim, item.n_heads, q_dim, item.scale, queries + i * item.n_heads * q_padded, q_padded);
    std::fill_n(sums, n_queries * v_padded, 0.0f);
    std::fill_n(states, n_queries, State{});
    for (int64_t first = 0, n = 0, begin = 0; first <= position(item.n_rows - 1); first += n) {
        if (run.should_stop()) return;
        n = std::min({kTileTokens, position(item.n_rows - 1) + 1 - first, page_tokens - first % page_tokens});
        while (position(begin) < first) begin++;  // rows before the tile see nothing of it
        const CachedRows keys = rows.rows(first, n, cache.k_offset, cache.k_width, cache.k_first, cache.k_dim, scratch.keys.data());
        const auto [wide_keys, k_stride] = rows.widen(keys, n, k_padded, scratch.keys.data());
        run.kernels.transpose(wide_keys, k_stride, n, k_padded, scratch.transposed.data(), kTileTokens);
        const float* columns = scratch.transposed.data();
        if (item.maps != nullptr) columns = expand_keys(run, *item.maps, columns, n, scratch.expanded.data());
        const int64_t first_query = begin * item.n_heads, some = n_queries - first_query;
        run.kernels.product(queries + first_query * q_padded, q_padded, some, columns, kTileTokens, q_padded, padded(n), scores,
                            kTileTokens, false);
        for (int64_t i = first_query; i < n_queries; i++) {
            float* own = scores + (i - first_query) * kTileTokens;
            const int64_t n_seen = std::min(n, position(i / item.n_heads) + 1 - first);
            advance(run, states[i], own, n_seen, sums + i * v_padded, v_padded);
            std::fill_n(own + n_seen, n - n_seen, 0.0f);
        }
        auto [values, v_stride] = std::pair{wide_keys, k_stride};
        if (cache.has_values) {
            const CachedRows stored = rows.rows(first, n, cache.v_offset, cache.v_width, cache.v_first, cache.v_dim, scratch.values.data());
            std::tie(values, v_stride) = rows.widen(stored, n, v_padded, scratch.values.data());
        } else if (item.maps != nullptr) {
            run.kernels.product(wide_keys, k_stride, n, item.maps->values, v_padded, item.maps->n_latent, v_padded, scratch.values.data(),
                                v_padded, false);
            std::tie(values, v_stride) = std::pair{static_cast<const float*>(scratch.values.data()), v_padded};
        }
        run.kernels.product(scores, kTileTokens, some, values, v_stride, n, v_padded, sums + first_query * v_padded, v_padded, true);
    }
    for (int64_t i = 0; i < item.n_rows; i++)
        finish(cache, sums + i * item.n_heads * v_padded, states + i * item.n_heads, item.n_heads, item.dst + i * item.dst_stride);
}

void grow(size_t& size, int64_t n) { size = std::max(size, static_cast<size_t>(n)); }

}  // namespace

void add_attend_sizes(const ponder_program& program, int64_t k_dim, int64_t v_dim, int64_t n_queries, Sizes& sizes) {
    const QuantType& type = *find_quant_type(program.kv_type);
    grow(sizes.keys, Cache::decoded_size(type, k_dim));
    grow(sizes.values, Cache::decoded_size(type, v_dim));
    grow(sizes.transposed, kTileTokens * padded(k_dim));
    grow(sizes.queries, n_queries * padded(k_dim));
    grow(sizes.scores, n_queries * kTileTokens);
    grow(sizes.sums_of_heads, n_queries * padded(v_dim));
    grow(sizes.state, n_queries * 2);
}

void add_expanded_sizes(const HeadMaps& maps, int64_t v_dim, Sizes& sizes) {
    grow(sizes.maps, maps.n_nope * maps.n_latent + maps.n_latent * padded(v_dim));
    grow(sizes.expanded, padded(maps.n_nope + maps.n_rope) * kTileTokens);
    grow(sizes.values, kTileTokens * padded(v_dim));
}

void attend(const Run& run, const AttentionItem& item, ThreadScratch& scratch) {
    if (item.n_rows > 1 || item.maps != nullptr) return attend_rows(run, item, scratch);
    auto* states = reinterpret_cast<State*>(scratch.state.data());
    attend_row(run, item, 0, int64_t{run.batch.positions[item.first_row]} + 1, scratch.sums_of_heads.data(), states, scratch);
    if (!run.should_stop()) finish(item.cache, scratch.sums_of_heads.data(), states, item.n_heads, item.dst);
}

std::vector<RowRun> list_row_runs(const ponder_run& batch, int64_t max_rows) {
    std::vector<RowRun> runs;
    for (int32_t r = 0; r < batch.n_rows; r++) {
        const bool goes_on = r > 0 && batch.sequences[r] == batch.sequences[r - 1] && batch.positions[r] == batch.positions[r - 1] + 1;
        if (goes_on && runs.back().n < max_rows)
            runs.back().n++;
        else
            runs.push_back({r, 1});
    }
    return runs;
}

namespace {

// An operator's queries, by row and key head.
class Attention {
  public:
    Attention(const Run& run, const ponder_op& op)
        : run_(run),
          op_(op),
          p_(op.params.attention),
          group_(p_.n_heads / p_.n_kv_heads),
          span_floats_(group_ * (padded(p_.v_head_dim) + 2)) {}

    void run() {
        std::vector<RowRun> whole, alone;
        for (const RowRun& rows : list_row_runs(run_.batch)) (rows.n == 1 && n_spans(rows) > 1 ? alone : whole).push_back(rows);
        run_.pool.parallel_for(static_cast<int64_t>(whole.size()) * p_.n_kv_heads, [&](int64_t i, int thread) {
            if (run_.should_stop()) return;
            attend(run_, item(whole[static_cast<size_t>(i / p_.n_kv_heads)], i % p_.n_kv_heads),
                   run_.plan.threads[static_cast<size_t>(thread)]);
        });
        for (size_t i = 0; i < alone.size() && !run_.should_stop(); i += kRowsOfWave)
            run_in_spans(std::span(alone).subspan(i, std::min<size_t>(kRowsOfWave, alone.size() - i)));
    }

  private:
    struct Span {
        RowRun row;
        int64_t head, number;
    };

    int64_t n_spans(const RowRun& row) const { return std::clamp<int64_t>(n_past(row) / kSpanTokens, 1, kMostSpans); }
    int64_t n_past(const RowRun& row) const { return int64_t{run_.batch.positions[row.first]} + 1; }

    void run_in_spans(std::span<const RowRun> rows) {
        std::vector<Span> spans;
        for (const RowRun& row : rows) {
            for (int64_t head = 0; head < p_.n_kv_heads; head++) {
                for (int64_t number = 0; number < n_spans(row); number++) spans.push_back({row, head, number});
            }
        }
        float* memory = run_.plan.spans.data();
        run_.pool.parallel_for(static_cast<int64_t>(spans.size()), [&](int64_t i, int thread) {
            if (run_.should_stop()) return;
            const Span& span = spans[static_cast<size_t>(i)];
            const int64_t tokens = (n_past(span.row) + n_spans(span.row) - 1) / n_spans(span.row);
            float* sums = memory + i * span_floats_;
            attend_row(run_, item(span.row, span.head), span.number * tokens, std::min(n_past(span.row), (span.number + 1) * tokens), sums,
                       states_of(sums), run_.plan.threads[static_cast<size_t>(thread)]);
        });
        if (run_.should_stop()) return;
        for (size_t i = 0; i < spans.size(); i += static_cast<size_t>(n_spans(spans[i].row)))
            join(item(spans[i].row, spans[i].head), memory + static_cast<int64_t>(i) * span_floats_, n_spans(spans[i].row));
    }

    State* states_of(float* sums) const { return reinterpret_cast<State*>(sums + group_ * padded(p_.v_head_dim)); }

    // Adds all spans to the first, relative to the largest score of all.
    void join(const AttentionItem& own, float* sums, int64_t n) {
        const int64_t width = padded(p_.v_head_dim);
        for (int64_t h = 0; h < group_; h++) {
            State& state = states_of(sums)[h];
            const float top_before = state.top;
            for (int64_t s = 1; s < n; s++) state.top = std::max(state.top, states_of(sums + s * span_floats_)[h].top);
            const float rescale = std::exp(top_before - state.top);
            state.total *= rescale;
            run_.kernels.multiply_by(sums + h * width, rescale, width);
            for (int64_t s = 1; s < n; s++) {
                const State& other = states_of(sums + s * span_floats_)[h];
                const float weight = std::exp(other.top - state.top);
                state.total += weight * other.total;
                run_.kernels.add_weighted(&weight, sums + s * span_floats_ + h * width, width, 1, sums + h * width, width);
            }
        }
        finish(own.cache, sums, states_of(sums), group_, own.dst);
    }

    AttentionItem item(const RowRun& rows, int64_t head) const {
        const int64_t q_stride = int64_t{p_.n_heads} * p_.k_head_dim, dst_stride = int64_t{p_.n_heads} * p_.v_head_dim;
        return {
            .cache = {.k_offset = p_.kv.k_offset,
                      .v_offset = p_.kv.v_offset,
                      .k_width = p_.kv.k_width,
                      .v_width = p_.kv.v_width,
                      .k_first = head * p_.k_head_dim,
                      .v_first = head * p_.v_head_dim,
                      .k_dim = p_.k_head_dim,
                      .v_dim = p_.v_head_dim,
                      .has_values = true},
            .first_row = rows.first,
            .n_rows = rows.n,
            .n_heads = group_,
            .q = run_.rows(op_.src[0]) + rows.first * q_stride + head * group_ * p_.k_head_dim,
            .q_stride = q_stride,
            .dst = run_.rows(op_.dst[0]) + rows.first * dst_stride + head * group_ * p_.v_head_dim,
            .dst_stride = dst_stride,
            .scale = p_.scale,
        };
    }

    const Run& run_;
    const ponder_op& op_;
    const ponder_attention_params& p_;
    const int64_t group_, span_floats_;
};

}  // namespace

void add_attention_sizes(const ponder_program& program, const ponder_op& op, Sizes& sizes) {
    const ponder_attention_params& p = op.params.attention;
    const int64_t group = p.n_heads / p.n_kv_heads;
    add_attend_sizes(program, p.k_head_dim, p.v_head_dim, kAttendRows * group, sizes);
    const int64_t spans = kRowsOfWave * kMostSpans * p.n_kv_heads * group * (padded(p.v_head_dim) + 2);
    sizes.spans = std::max(sizes.spans, static_cast<size_t>(spans));
}

void attention(const Run& run, std::span<const ponder_op> ops) { Attention(run, ops[0]).run(); }

}  // namespace ponder::cpu
