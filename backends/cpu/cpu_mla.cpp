// SPDX-License-Identifier: Apache-2.0
// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434). Absorbed: queries are mapped into the latent space, where all heads share
// one row of keys a token, whose first part is also the values; results are mapped back. Expanded, where many rows share the cost: each
// head's keys and values are made of the cache, tile by tile.
#include <algorithm>

#include "activation.hpp"
#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

constexpr int64_t kHeadsOfItem = 8;  // that read the cache together
constexpr int64_t kMapRows = 32;     // decoded at a time
// Queries of so many rows and heads are in the latent space at a time, and at least kHeadsOfItem heads of all rows.
constexpr int64_t kQueriesAtOnce = 4096;

int64_t heads_at_once(int64_t n_heads, int64_t n_rows) {
    return std::clamp(kQueriesAtOnce / n_rows, std::min(kHeadsOfItem, n_heads), n_heads);
}

// Kernels take 16 elements at a time.
bool can_expand(const ponder_mla_attention_params& p) { return p.n_latent % 16 == 0 && p.n_nope % 16 == 0; }

class MlaAttention {
  public:
    MlaAttention(const Run& run, const ponder_op& op)
        : run_(run),
          op_(op),
          p_(op.params.mla_attention),
          n_rows_(run.batch.n_rows),
          n_heads_(heads_at_once(p_.n_heads, n_rows_)),
          k_dim_(p_.n_latent + p_.n_rope),
          queries_(run.plan.latents.data()),
          results_(queries_ + n_rows_ * n_heads_ * k_dim_) {}

    void run() {
        if (can_expand(p_) && n_rows_ > 1) {  // a row alone never pays for the maps
            const std::pmr::vector<RowRun> whole = list_row_runs(run_, n_rows_);
            if (is_cheaper_expanded(whole)) return run_expanded(whole);
        }
        for (first_head_ = 0; first_head_ < p_.n_heads; first_head_ += n_heads_) {
            const int64_t n = std::min<int64_t>(n_heads_, p_.n_heads - first_head_);
            in_pieces(n, p_.n_latent,
                      [&](int64_t h, int64_t first, int64_t some, ThreadScratch& scratch) { map_queries(h, first, some, scratch); });
            attend_heads(run_, {.first = first_item(std::min(kHeadsOfItem, n)), .n_heads = n, .k_step = 0, .v_step = 0});
            in_pieces(n, p_.v_head_dim,
                      [&](int64_t h, int64_t first, int64_t some, ThreadScratch& scratch) { map_results(h, first, some, scratch); });
            if (run_.should_stop()) return;
        }
    }

  private:
    // Multiplications of one head, in float32 those of absorbed queries and results too: stored weights go some times faster.
    bool is_cheaper_expanded(std::span<const RowRun> runs) const {
        constexpr int64_t kMapSpeed = 3;
        const int64_t n_map = int64_t{p_.n_latent} * (p_.n_nope + p_.v_head_dim);
        int64_t n_pairs = 0, n_read = 0;
        for (const RowRun& rows : runs) {
            const int64_t last = run_.batch.positions[rows.first + rows.n - 1];
            n_read += last + 1;
            n_pairs += rows.n * (last + 1) - int64_t{rows.n} * (rows.n - 1) / 2;
        }
        const int64_t absorbed = n_pairs * (k_dim_ + p_.n_latent) + n_rows_ * n_map / kMapSpeed,
                      expanded = n_pairs * (p_.n_nope + p_.n_rope + p_.v_head_dim) + n_read * n_map;
        return expanded < absorbed;
    }

    void run_expanded(std::span<const RowRun> runs) {
        run_.pool.parallel_for(static_cast<int64_t>(runs.size()) * p_.n_heads, [&](int64_t i, int thread) {
            if (run_.should_stop()) return;
            ThreadScratch& scratch = run_.plan.threads[static_cast<size_t>(thread)];
            const RowRun& rows = runs[static_cast<size_t>(i / p_.n_heads)];
            const int64_t head = i % p_.n_heads, head_dim = p_.n_nope + p_.n_rope, q_stride = p_.n_heads * head_dim,
                          dst_stride = int64_t{p_.n_heads} * p_.v_head_dim;
            const HeadMaps maps = decode_maps(head, scratch);
            AttentionItem own = first_item(1);
            own.first_row = rows.first;
            own.n_rows = rows.n;
            own.cache.v_dim = p_.v_head_dim;
            own.q = run_.rows(op_.src[0]) + rows.first * q_stride + head * head_dim;
            own.q_stride = q_stride;
            own.dst = run_.rows(op_.dst[0]) + rows.first * dst_stride + head * p_.v_head_dim;
            own.dst_stride = dst_stride;
            own.maps = &maps;
            attend(run_, own, scratch);
        });
    }

    HeadMaps decode_maps(int64_t head, ThreadScratch& scratch) const {
        float *keys = scratch.maps.data(), *values = keys + p_.n_nope * p_.n_latent;
        const int64_t stride = padded(p_.v_head_dim);
        std::fill_n(values, p_.n_latent * stride, 0.0f);
        if (op_.src[2] >= 0) {
            decode_transposed(run_.matrix(op_.src[1], head), 0, p_.n_latent, keys, p_.n_latent, scratch);
            decode_transposed(run_.matrix(op_.src[2], head), 0, p_.v_head_dim, values, stride, scratch);
        } else {
            const Matrix both = run_.matrix(op_.src[1]);
            const int64_t own = head * (p_.n_nope + p_.v_head_dim);
            both.decode(own, p_.n_nope, keys);
            decode_transposed(both, own + p_.n_nope, p_.v_head_dim, values, stride, scratch);
        }
        return {keys, values, p_.n_nope, p_.n_latent, p_.n_rope};
    }

    // Rows [first, first + n) become columns of dst [n_cols, stride].
    void decode_transposed(const Matrix& matrix, int64_t first, int64_t n, float* dst, int64_t stride, ThreadScratch& scratch) const {
        for (int64_t r = 0; r < n; r += kMapRows) {
            const int64_t some = std::min(kMapRows, n - r);
            matrix.decode(first + r, some, scratch.decoded.data());
            run_.kernels.transpose(scratch.decoded.data(), matrix.n_cols, some, matrix.n_cols, dst + r, stride);
        }
    }

    // Calls work(head, first, some, scratch) for pieces of n_map_rows rows of n heads' maps.
    template <class Work>
    void in_pieces(int64_t n, int64_t n_map_rows, const Work& work) {
        constexpr int64_t kPiecesPerThread = 4, kGranule = 64;
        const int64_t wanted = (run_.pool.n_threads() * kPiecesPerThread + n - 1) / n;
        const int64_t chunk = std::max(kGranule, (n_map_rows / wanted + kGranule - 1) / kGranule * kGranule),
                      n_pieces = (n_map_rows + chunk - 1) / chunk;
        run_.pool.parallel_for(n * n_pieces, [&](int64_t i, int thread) {
            if (run_.should_stop()) return;
            const int64_t first = i % n_pieces * chunk;
            work(i / n_pieces, first, std::min(chunk, n_map_rows - first), run_.plan.threads[static_cast<size_t>(thread)]);
        });
    }

    // The batch's first row and the group's first heads in the latent space.
    AttentionItem first_item(int64_t n_heads) const {
        return {.cache = {.k_offset = p_.kv.k_offset,
                          .v_offset = 0,
                          .k_width = p_.kv.k_width,
                          .v_width = 0,
                          .k_first = 0,
                          .v_first = 0,
                          .k_dim = k_dim_,
                          .v_dim = p_.n_latent,
                          .has_values = false},
                .first_row = 0,
                .n_rows = 0,
                .n_heads = n_heads,
                .q = queries_,
                .q_stride = n_heads_ * k_dim_,
                .dst = results_,
                .dst_stride = n_heads_ * p_.n_latent,
                .scale = p_.scale};
    }

    // Elements [first, first + some) of the latent queries of head h of the group.
    void map_queries(int64_t h, int64_t first, int64_t some, ThreadScratch& scratch) {
        const int64_t head_dim = p_.n_nope + p_.n_rope, q_stride = p_.n_heads * head_dim, stride = n_heads_ * k_dim_;
        const float* q = run_.rows(op_.src[0]) + (first_head_ + h) * head_dim;
        float* dst = queries_ + h * k_dim_;
        if (first == 0) {
            for (int64_t i = 0; i < n_rows_; i++) std::copy_n(q + i * q_stride + p_.n_nope, p_.n_rope, dst + i * stride + p_.n_latent);
        }
        if (op_.src[2] >= 0)
            return multiply(run_.matrix(op_.src[1], first_head_ + h), 0, first, some, q, q_stride, dst + first, stride, scratch);
        // The map is stored the other way round: rows of it are summed.
        const Matrix both = run_.matrix(op_.src[1]);
        for (int64_t i = 0; i < n_rows_; i++) std::fill_n(dst + i * stride + first, some, 0.0f);
        for (int64_t j = 0; j < p_.n_nope; j += kMapRows) {
            const int64_t n = std::min<int64_t>(kMapRows, p_.n_nope - j);
            both.decode((first_head_ + h) * (p_.n_nope + p_.v_head_dim) + j, n, scratch.decoded.data());
            const float* rows = scratch.decoded.data() + first;
            if (some % 16 == 0) {
                run_.kernels.product(q + j, q_stride, n_rows_, rows, p_.n_latent, n, some, dst + first, stride, true);
                continue;
            }
            for (int64_t i = 0; i < n_rows_; i++)
                run_.kernels.add_weighted(q + i * q_stride + j, rows, p_.n_latent, n, dst + i * stride + first, some);
        }
    }

    void map_results(int64_t h, int64_t first, int64_t some, ThreadScratch& scratch) {
        const float* src = results_ + h * p_.n_latent;
        const int64_t stride = int64_t{p_.n_heads} * p_.v_head_dim;
        float* dst = run_.rows(op_.dst[0]) + (first_head_ + h) * p_.v_head_dim + first;
        if (op_.src[2] >= 0)
            return multiply(run_.matrix(op_.src[2], first_head_ + h), 0, first, some, src, n_heads_ * p_.n_latent, dst, stride, scratch);
        const int64_t own = (first_head_ + h) * (p_.n_nope + p_.v_head_dim) + p_.n_nope;
        multiply(run_.matrix(op_.src[1]), own, first, some, src, n_heads_ * p_.n_latent, dst, stride, scratch);
    }

    // Rows own + [first, first + some) of a matrix times all rows of src, src_stride apart, to dst [n_rows_, some].
    void multiply(const Matrix& matrix, int64_t own, int64_t first, int64_t some, const float* src, int64_t src_stride, float* dst,
                  int64_t stride, ThreadScratch& scratch) {
        const RowForm form = form_for(run_, matrix, n_rows_);
        auto* rounded = scratch.latent.data();
        auto* floats = reinterpret_cast<float*>(rounded);
        for (int64_t i = 0; i < n_rows_; i += kRowsOfTile) {
            const float* rows[kRowsOfTile];
            const int64_t n = std::min(kRowsOfTile, n_rows_ - i);
            for (int64_t j = 0; j < n; j++) {
                rows[j] = src + (i + j) * src_stride;
                if (form == RowForm::kFloats) std::copy_n(rows[j], matrix.n_cols, floats + (i + j) * matrix.n_cols);
            }
            if (form != RowForm::kFloats)
                round_block(run_, form, std::span(rows, static_cast<size_t>(n)), matrix.n_cols, rounded, i, n_rows_);
        }
        multiply_rows(run_, {.weight = matrix, .dst = dst, .stride = stride, .first_row = own + first}, own + first, some, floats, rounded,
                      n_rows_, scratch);
    }

    const Run& run_;
    const ponder_op& op_;
    const ponder_mla_attention_params& p_;
    const int64_t n_rows_, n_heads_, k_dim_;  // heads: of a group
    int64_t first_head_ = 0;                  // of the group
    float* queries_;                          // [n_rows_, n_heads_, n_latent + n_rope]
    float* results_;                          // [n_rows_, n_heads_, n_latent]
};

}  // namespace

void add_mla_sizes(const ponder_program& program, const ponder_op& op, int32_t max_rows, Sizes& sizes) {
    const ponder_mla_attention_params& p = op.params.mla_attention;
    const int64_t k_dim = p.n_latent + p.n_rope, widest = std::max(p.n_latent, p.n_nope);
    add_multiply_sizes(widest, max_rows, sizes);
    add_heads_sizes(program, k_dim, p.n_latent, p.n_heads, std::min<int64_t>(kHeadsOfItem, p.n_heads), true, sizes);
    if (can_expand(p)) {
        add_attend_sizes(program, p.n_nope + p.n_rope, p.v_head_dim, max_rows, sizes);
        add_expanded_sizes({nullptr, nullptr, p.n_nope, p.n_latent, p.n_rope}, p.v_head_dim, sizes);
    }
    sizes.decoded = std::max(sizes.decoded, static_cast<size_t>(kMapRows * widest));
    sizes.latent = std::max(sizes.latent, static_cast<size_t>(max_rows * RoundedLayout(widest).n_bytes));
    // Fewer rows take more heads at a time, but no more queries than these.
    const int64_t queries =
        std::max(std::min<int64_t>(kQueriesAtOnce, int64_t{max_rows} * p.n_heads), max_rows * std::min<int64_t>(kHeadsOfItem, p.n_heads));
    sizes.latents = std::max(sizes.latents, static_cast<size_t>(queries * (k_dim + p.n_latent)));
}

void mla_attention(const Run& run, std::span<const ponder_op> ops) { MlaAttention(run, ops[0]).run(); }

}  // namespace ponder::cpu
