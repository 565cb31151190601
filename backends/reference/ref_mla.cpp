// SPDX-License-Identifier: Apache-2.0
// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): one head of one sequence at a time, over the cache page by page with a
// running softmax, in the absorbed or the expanded form, whichever takes fewer multiplications.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowsMap = Eigen::Map<Rows>;

// The rows of a batch that belong to one sequence.
struct SequenceRows {
    int32_t sequence;
    std::vector<int32_t> rows;  // in order of their positions
    int64_t n_past;             // tokens in the cache, these included
};

// A thread's matrices, cut from its scratch.
class Workspace {
  public:
    explicit Workspace(float* memory) : next_(memory) {}
    RowsMap take(int64_t rows, int64_t cols) { return RowsMap(std::exchange(next_, next_ + rows * cols), rows, cols); }

  private:
    float* next_;
};

// The expanded form maps every cached latent to the head's keys and values; the absorbed form maps the queries and results instead and
// works on latents.
bool is_expanded_cheaper(const ponder_mla_attention_params& p, int64_t n_rows, int64_t n_past) {
    const int64_t map = int64_t{p.n_latent} * (p.n_nope + p.v_head_dim);
    const int64_t absorbed = n_rows * (n_past * (2 * p.n_latent + p.n_rope) + map);
    const int64_t expanded = n_past * map + n_rows * n_past * (p.n_nope + p.n_rope + p.v_head_dim);
    return expanded < absorbed;
}

// A head's maps of the latent: keys [n_nope, n_latent] and values [v_head_dim, n_latent].
void decode_maps(const Run& run, const ponder_op& op, int64_t head, RowsMap& keys, RowsMap& values) {
    const ponder_mla_attention_params& p = op.params.mla_attention;
    if (op.src[2] < 0) {
        const Matrix both = run.matrix(op.src[1]);
        const int64_t first = head * (p.n_nope + p.v_head_dim);
        both.decode(first, p.n_nope, keys.data());
        both.decode(first + p.n_nope, p.v_head_dim, values.data());
        return;
    }
    run.matrix(op.src[2], head).decode(0, p.v_head_dim, values.data());
    const Matrix transposed = run.matrix(op.src[1], head);
    Eigen::VectorXf column(p.n_nope);
    for (int64_t i = 0; i < p.n_latent; i++) {
        transposed.decode(i, 1, column.data());
        keys.col(i) = column;
    }
}

class HeadAttention {
  public:
    HeadAttention(const Run& run, const ponder_op& op, const SequenceRows& rows, int64_t head, ThreadScratch& scratch)
        : run_(run),
          op_(op),
          p_(op.params.mla_attention),
          rows_(rows),
          head_(head),
          n_(static_cast<int64_t>(rows.rows.size())),
          is_expanded_(is_expanded_cheaper(p_, n_, rows.n_past)),
          page_tokens_(run.program.kv_page_tokens),
          memory_(scratch.latent.data()),
          key_map_(memory_.take(p_.n_nope, p_.n_latent)),
          value_map_(memory_.take(p_.v_head_dim, p_.n_latent)),
          query_(memory_.take(n_, p_.n_nope + p_.n_rope)),
          page_(memory_.take(page_tokens_, p_.n_latent + p_.n_rope)),
          sum_(memory_.take(n_, is_expanded_ ? p_.v_head_dim : p_.n_latent)),
          scores_(memory_.take(n_, page_tokens_)),
          top_(memory_.take(n_, 1)),
          total_(memory_.take(n_, 1)),
          mapped_(is_expanded_ ? memory_.take(page_tokens_, p_.n_nope) : memory_.take(n_, p_.n_latent)),
          values_(memory_.take(page_tokens_, p_.v_head_dim)) {}

    void run() {
        decode_maps(run_, op_, head_, key_map_, value_map_);
        const int64_t head_dim = p_.n_nope + p_.n_rope;
        const float* q = run_.rows(op_.src[0]);
        for (int64_t i = 0; i < n_; i++) {
            const float* row = q + (int64_t{rows_.rows[static_cast<size_t>(i)]} * p_.n_heads + head_) * head_dim;
            std::copy(row, row + head_dim, query_.row(i).data());
        }
        if (!is_expanded_) mapped_.noalias() = query_.leftCols(p_.n_nope) * key_map_;
        sum_.setZero();
        top_.setConstant(-std::numeric_limits<float>::infinity());
        total_.setZero();
        for (int64_t first = 0; first < rows_.n_past; first += page_tokens_) {
            if (run_.should_stop()) return;
            add_page(first, std::min(page_tokens_, rows_.n_past - first));
        }
        write_results();
    }

  private:
    // Online softmax (Milakov, Gimelshein 2018): what was summed before is rescaled whenever a larger score appears.
    void add_page(int64_t first, int64_t n_tokens) {
        const QuantType& type = *find_quant_type(run_.program.kv_type);
        const auto width = static_cast<uint64_t>(p_.kv.k_width);
        type.decode(run_.cache_row(rows_.sequence, first, p_.kv.k_offset, *row_bytes(type, width)), page_.data(),
                    n_tokens * p_.kv.k_width / type.block_len);
        const auto latents = page_.topLeftCorner(n_tokens, p_.n_latent);
        auto scores = scores_.leftCols(n_tokens);
        scores.noalias() = query_.rightCols(p_.n_rope) * page_.topRightCorner(n_tokens, p_.n_rope).transpose();
        if (is_expanded_) {
            auto keys = mapped_.topRows(n_tokens);
            keys.noalias() = latents * key_map_.transpose();
            values_.topRows(n_tokens).noalias() = latents * value_map_.transpose();
            scores.noalias() += query_.leftCols(p_.n_nope) * keys.transpose();
        } else {
            scores.noalias() += mapped_ * latents.transpose();
        }
        for (int64_t i = 0; i < n_; i++) {
            const int64_t n_seen = std::clamp<int64_t>(position(i) + 1 - first, 0, n_tokens);
            scores.row(i).tail(n_tokens - n_seen).setZero();
            if (n_seen == 0) continue;
            auto seen = scores.row(i).head(n_seen);
            seen *= p_.scale;
            const float top = std::max(top_(i, 0), seen.maxCoeff());
            const float rescale = std::exp(top_(i, 0) - top);
            seen = (seen.array() - top).exp();
            total_(i, 0) = total_(i, 0) * rescale + seen.sum();
            sum_.row(i) *= rescale;
            top_(i, 0) = top;
        }
        if (is_expanded_)
            sum_.noalias() += scores * values_.topRows(n_tokens);
        else
            sum_.noalias() += scores * latents;
    }

    void write_results() {
        float* dst = run_.rows(op_.dst[0]);
        for (int64_t i = 0; i < n_; i++) sum_.row(i) /= total_(i, 0);
        for (int64_t i = 0; i < n_; i++) {
            Eigen::Map<Eigen::RowVectorXf> out(dst + (int64_t{rows_.rows[static_cast<size_t>(i)]} * p_.n_heads + head_) * p_.v_head_dim,
                                               p_.v_head_dim);
            if (is_expanded_)
                out = sum_.row(i);
            else
                out.noalias() = sum_.row(i) * value_map_.transpose();
        }
    }

    int64_t position(int64_t i) const { return run_.batch.positions[rows_.rows[static_cast<size_t>(i)]]; }

    const Run& run_;
    const ponder_op& op_;
    const ponder_mla_attention_params& p_;
    const SequenceRows& rows_;
    const int64_t head_, n_;
    const bool is_expanded_;
    const int64_t page_tokens_;
    Workspace memory_;
    RowsMap key_map_, value_map_;  // [n_nope, n_latent], [v_head_dim, n_latent]
    RowsMap query_;                // [n, n_nope + n_rope]
    RowsMap page_;                 // [page_tokens, n_latent + n_rope]
    RowsMap sum_;                  // [n, v_head_dim] or, absorbed, [n, n_latent]
    RowsMap scores_;               // [n, page_tokens]
    RowsMap top_, total_;          // [n, 1]: the largest score so far, and the sum of exponentials relative to it
    RowsMap mapped_;               // keys [page_tokens, n_nope] or, absorbed, queries [n, n_latent]
    RowsMap values_;               // [page_tokens, v_head_dim]
};

std::vector<SequenceRows> rows_by_sequence(const ponder_run& batch) {
    std::vector<SequenceRows> groups;
    std::vector<int32_t> group_of(static_cast<size_t>(batch.n_sequences), -1);
    for (int32_t r = 0; r < batch.n_rows; r++) {
        int32_t& group = group_of[static_cast<size_t>(batch.sequences[r])];
        if (group < 0) {
            group = static_cast<int32_t>(groups.size());
            groups.push_back({batch.sequences[r], {}, 0});
        }
        SequenceRows& rows = groups[static_cast<size_t>(group)];
        rows.rows.push_back(r);
        rows.n_past = std::max<int64_t>(rows.n_past, batch.positions[r] + 1);
    }
    return groups;
}

}  // namespace

void add_mla_scratch(const ponder_program& program, const ponder_op& op, int32_t max_rows, ScratchSizes& sizes) {
    const ponder_mla_attention_params& p = op.params.mla_attention;
    const int64_t n = max_rows, page = program.kv_page_tokens;
    const int64_t maps = int64_t{p.n_latent} * (p.n_nope + p.v_head_dim);
    const int64_t rows = n * (p.n_nope + p.n_rope + page + 2 + std::max(p.n_latent, p.v_head_dim));
    const int64_t cached = page * (p.n_latent + p.n_rope + p.v_head_dim) + std::max(page * p.n_nope, n * p.n_latent);
    sizes.latent = std::max(sizes.latent, static_cast<size_t>(maps + rows + cached));
}

void mla_attention(const Run& run, const ponder_op& op) {
    const std::vector<SequenceRows> groups = rows_by_sequence(run.batch);
    const int64_t n_heads = op.params.mla_attention.n_heads;
    run.pool.parallel_for(static_cast<int64_t>(groups.size()) * n_heads, [&](int64_t item, int thread) {
        if (run.should_stop()) return;
        HeadAttention(run, op, groups[static_cast<size_t>(item / n_heads)], item % n_heads, run.plan.threads[static_cast<size_t>(thread)])
            .run();
    });
}

}  // namespace ponder::ref
