// SPDX-License-Identifier: Apache-2.0
// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), absorbed: queries are mapped into the latent space, where all heads share
// one row of keys a token, whose first part is also the values; results are mapped back.
#include <algorithm>

#include "activation.hpp"
#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

constexpr int64_t kHeadsOfItem = 8;
constexpr int64_t kMapRows = 4;

// Floats that one item needs: queries and results in the latent space, and one head's rows as a product takes and rounds them.
struct ItemMemory {
    explicit ItemMemory(const ponder_mla_attention_params& p)
        : k_dim(p.n_latent + p.n_rope),
          queries(kAttendRows * kHeadsOfItem * k_dim),
          results(kAttendRows * kHeadsOfItem * p.n_latent),
          source(kAttendRows * std::max(p.n_latent, p.n_nope)),
          rounded(kAttendRows * RoundedLayout(std::max(p.n_latent, p.n_nope)).n_bytes / static_cast<int64_t>(sizeof(float))) {}
    int64_t total() const { return queries + results + source + rounded; }
    int64_t k_dim, queries, results, source, rounded;
};

class Item {
  public:
    Item(const Run& run, const ponder_op& op, RowRun rows, int64_t first_head, float* memory, ThreadScratch& scratch)
        : run_(run),
          op_(op),
          p_(op.params.mla_attention),
          rows_(rows),
          first_head_(first_head),
          n_heads_(std::min<int64_t>(kHeadsOfItem, p_.n_heads - first_head)),
          size_(p_),
          queries_(memory),
          results_(queries_ + size_.queries),
          source_(results_ + size_.results),
          rounded_(reinterpret_cast<std::byte*>(source_ + size_.source)),
          scratch_(scratch) {}

    void run() {
        for (int64_t h = 0; h < n_heads_; h++) map_queries(h);
        attend(run_,
               {.cache = {.k_offset = p_.kv.k_offset,
                          .v_offset = 0,
                          .k_width = p_.kv.k_width,
                          .v_width = 0,
                          .k_first = 0,
                          .v_first = 0,
                          .k_dim = size_.k_dim,
                          .v_dim = p_.n_latent,
                          .has_values = false},
                .first_row = rows_.first,
                .n_rows = rows_.n,
                .n_heads = n_heads_,
                .q = queries_,
                .q_stride = n_heads_ * size_.k_dim,
                .dst = results_,
                .dst_stride = n_heads_ * p_.n_latent,
                .scale = p_.scale},
               scratch_);
        for (int64_t h = 0; h < n_heads_; h++) map_results(h);
    }

  private:
    void map_queries(int64_t h) {
        const int64_t head_dim = p_.n_nope + p_.n_rope, stride = n_heads_ * size_.k_dim;
        for (int64_t i = 0; i < rows_.n; i++) {
            const float* q = run_.rows(op_.src[0]) + ((rows_.first + i) * p_.n_heads + first_head_ + h) * head_dim;
            std::copy_n(q, p_.n_nope, source_ + i * p_.n_nope);
            std::copy_n(q + p_.n_nope, p_.n_rope, queries_ + i * stride + h * size_.k_dim + p_.n_latent);
        }
        if (op_.src[2] >= 0) return multiply(run_.matrix(op_.src[1], first_head_ + h), 0, p_.n_latent, queries_ + h * size_.k_dim, stride);
        // The map is stored the other way round: rows of it are summed.
        const Matrix both = run_.matrix(op_.src[1]);
        const int64_t first = (first_head_ + h) * (p_.n_nope + p_.v_head_dim);
        for (int64_t i = 0; i < rows_.n; i++) std::fill_n(queries_ + i * stride + h * size_.k_dim, p_.n_latent, 0.0f);
        for (int64_t j = 0; j < p_.n_nope; j += kMapRows) {
            const int64_t n = std::min<int64_t>(kMapRows, p_.n_nope - j);
            both.decode(first + j, n, scratch_.decoded.data());
            for (int64_t i = 0; i < rows_.n; i++) {
                run_.kernels.add_weighted(source_ + i * p_.n_nope + j, scratch_.decoded.data(), p_.n_latent, n,
                                          queries_ + i * stride + h * size_.k_dim, p_.n_latent);
            }
        }
    }

    void map_results(int64_t h) {
        for (int64_t i = 0; i < rows_.n; i++)
            std::copy_n(results_ + (i * n_heads_ + h) * p_.n_latent, p_.n_latent, source_ + i * p_.n_latent);
        const int64_t stride = int64_t{p_.n_heads} * p_.v_head_dim;
        float* dst = run_.rows(op_.dst[0]) + rows_.first * stride + (first_head_ + h) * p_.v_head_dim;
        if (op_.src[2] >= 0) return multiply(run_.matrix(op_.src[2], first_head_ + h), 0, p_.v_head_dim, dst, stride);
        multiply(run_.matrix(op_.src[1]), (first_head_ + h) * (p_.n_nope + p_.v_head_dim) + p_.n_nope, p_.v_head_dim, dst, stride);
    }

    // Rows [first, first + n) of a matrix times source_, to dst [rows, n].
    void multiply(const Matrix& matrix, int64_t first, int64_t n, float* dst, int64_t stride) {
        if (const RowForm form = form_for(run_, matrix, rows_.n); form != RowForm::kFloats) {
            for (int64_t i = 0; i < rows_.n; i++)
                round_row(run_, form, source_ + i * matrix.n_cols, matrix.n_cols, rounded_ + i * row_bytes(form, matrix.n_cols));
        }
        multiply_rows(run_, {.weight = matrix, .dst = dst, .stride = stride, .first_row = first}, first, n, source_, rounded_, rows_.n,
                      scratch_);
    }

    const Run& run_;
    const ponder_op& op_;
    const ponder_mla_attention_params& p_;
    const RowRun rows_;
    const int64_t first_head_, n_heads_;
    const ItemMemory size_;
    float* queries_;      // [rows, n_heads_, n_latent + n_rope]
    float* results_;      // [rows, n_heads_, n_latent]
    float* source_;       // [rows, n_nope or n_latent] of one head
    std::byte* rounded_;  // the same rounded
    ThreadScratch& scratch_;
};

}  // namespace

void add_mla_sizes(const ponder_program& program, const ponder_op& op, Sizes& sizes) {
    const ponder_mla_attention_params& p = op.params.mla_attention;
    add_multiply_sizes(std::max(p.n_latent, p.n_nope), kAttendRows, sizes);  // its rounded rows lie in `latent`
    add_attend_sizes(program, p.n_latent + p.n_rope, p.n_latent, kHeadsOfItem, sizes);
    sizes.latent = std::max(sizes.latent, static_cast<size_t>(ItemMemory(p).total()));
}

void mla_attention(const Run& run, std::span<const ponder_op> ops) {
    const std::vector<RowRun> runs = list_row_runs(run.batch);
    const int64_t n_groups = (ops[0].params.mla_attention.n_heads + kHeadsOfItem - 1) / kHeadsOfItem;
    run.pool.parallel_for(static_cast<int64_t>(runs.size()) * n_groups, [&](int64_t i, int thread) {
        if (run.should_stop()) return;
        ThreadScratch& scratch = run.plan.threads[static_cast<size_t>(thread)];
        Item(run, ops[0], runs[static_cast<size_t>(i / n_groups)], i % n_groups * kHeadsOfItem, scratch.latent.data(), scratch).run();
    });
}

}  // namespace ponder::cpu
