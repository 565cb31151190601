// SPDX-License-Identifier: Apache-2.0
// Grouped-query attention over the cache, one query row and one group of heads at a time.
#include <algorithm>
#include <cmath>

#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

// Elements [first, first + n) of a cached row, widened; decodes the blocks that they lie in.
class CacheReader {
  public:
    CacheReader(const QuantType& type, int64_t first, int64_t n)
        : type_(type),
          first_block_(first / type.block_len),
          n_blocks_((first + n + type.block_len - 1) / type.block_len - first_block_),
          skip_(first - first_block_ * type.block_len) {}

    size_t decoded_size() const { return static_cast<size_t>(n_blocks_ * type_.block_len); }

    const float* read(const std::byte* row, float* decoded) const {
        type_.decode(row + first_block_ * type_.block_bytes, decoded, n_blocks_);
        return decoded + skip_;
    }

  private:
    const QuantType& type_;
    int64_t first_block_, n_blocks_, skip_;
};

float dot(const float* a, const float* b, int64_t n) {
    float sum = 0.0f;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// Softmax in place; the largest score is subtracted first.
void softmax(float* scores, int64_t n) {
    const float top = *std::max_element(scores, scores + n);
    float sum = 0.0f;
    for (int64_t i = 0; i < n; i++) sum += scores[i] = std::exp(scores[i] - top);
    for (int64_t i = 0; i < n; i++) scores[i] /= sum;
}

// dst [group, v_head_dim] for the query heads [group, k_head_dim] that share key head `kv_head`.
void attend(const Run& run, const ponder_attention_params& p, int64_t row, int64_t kv_head, const float* q, float* dst,
            ThreadScratch& scratch) {
    const QuantType& type = *find_quant_type(run.program.kv_type);
    const int64_t group = p.n_heads / p.n_kv_heads;
    const int64_t n_past = int64_t{run.batch.positions[row]} + 1;
    const int32_t sequence = run.batch.sequences[row];
    const uint64_t k_bytes = *row_bytes(type, static_cast<uint64_t>(p.kv.k_width)),
                   v_bytes = *row_bytes(type, static_cast<uint64_t>(p.kv.v_width));
    const CacheReader keys(type, kv_head * p.k_head_dim, p.k_head_dim), values(type, kv_head * p.v_head_dim, p.v_head_dim);

    for (int64_t t = 0; t < n_past; t++) {
        const float* k = keys.read(run.cache_row(sequence, t, p.kv.k_offset, k_bytes), scratch.row.data());
        for (int64_t h = 0; h < group; h++)
            scratch.scores[static_cast<size_t>(h * n_past + t)] = p.scale * dot(q + h * p.k_head_dim, k, p.k_head_dim);
    }
    for (int64_t h = 0; h < group; h++) softmax(scratch.scores.data() + h * n_past, n_past);
    std::fill(dst, dst + group * p.v_head_dim, 0.0f);
    for (int64_t t = 0; t < n_past; t++) {
        const float* v = values.read(run.cache_row(sequence, t, p.kv.v_offset, v_bytes), scratch.row.data());
        for (int64_t h = 0; h < group; h++) {
            const float weight = scratch.scores[static_cast<size_t>(h * n_past + t)];
            for (int64_t i = 0; i < p.v_head_dim; i++) dst[h * p.v_head_dim + i] += weight * v[i];
        }
    }
}

}  // namespace

void add_attention_scratch(const ponder_program& program, const ponder_op& op, ScratchSizes& sizes) {
    const ponder_attention_params& p = op.params.attention;
    // A head's slice may begin and end inside a block, so it can touch two blocks more than it fills.
    const size_t row = static_cast<size_t>(std::max(p.k_head_dim, p.v_head_dim)) + 2 * find_quant_type(program.kv_type)->block_len;
    sizes.row = std::max(sizes.row, row);
    sizes.scores_per_token = std::max(sizes.scores_per_token, static_cast<size_t>(p.n_heads / p.n_kv_heads));
}

void attention(const Run& run, const ponder_op& op) {
    const ponder_attention_params& p = op.params.attention;
    const int64_t group = p.n_heads / p.n_kv_heads;
    const int64_t longest = 1 + *std::max_element(run.batch.positions, run.batch.positions + run.batch.n_rows);
    for (ThreadScratch& scratch : run.plan.threads) {
        // A new vector, since resizing one would keep up to twice the memory that is needed.
        const auto n_scores = static_cast<size_t>(group * longest);
        if (scratch.scores.size() < n_scores) scratch.scores = std::vector<float>(n_scores);
    }
    const float* q = run.rows(op.src[0]);
    float* dst = run.rows(op.dst[0]);
    run.pool.parallel_for(int64_t{run.batch.n_rows} * p.n_kv_heads, [&](int64_t item, int thread) {
        if (run.should_stop()) return;
        const int64_t row = item / p.n_kv_heads, kv_head = item % p.n_kv_heads;
        const int64_t first_head = row * p.n_heads + kv_head * group;
        attend(run, p, row, kv_head, q + first_head * p.k_head_dim, dst + first_head * p.v_head_dim,
               run.plan.threads[static_cast<size_t>(thread)]);
    });
}

}  // namespace ponder::ref
