// SPDX-License-Identifier: Apache-2.0
// Mixture of experts: the router's choice, and the feed-forward of the experts chosen, one expert with all its rows at a time.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

// Weights of a broken file may give anything; ranks must have an order all the same.
float ordered(float rank) { return std::isnan(rank) ? -std::numeric_limits<float>::infinity() : rank; }

// Ranks of equal value go to the lower number.
template <class Better>
void sort_best_first(int32_t* numbers, int64_t n, int64_t n_best, const Better& rank) {
    std::partial_sort(numbers, numbers + n_best, numbers + n,
                      [&](int32_t a, int32_t b) { return rank(a) != rank(b) ? rank(a) > rank(b) : a < b; });
}

class Router {
  public:
    Router(const ponder_moe_route_params& params, int64_t n_experts, const float* bias)
        : p_(params),
          n_experts_(n_experts),
          bias_(bias),
          scores_(static_cast<size_t>(n_experts)),
          ranks_(static_cast<size_t>(n_experts)),
          numbers_(static_cast<size_t>(n_experts)) {}

    // Numbers and weights [n_used] of the experts of one row of logits [n_experts].
    void choose(const float* logits, float* experts, float* weights) {
        score(logits);
        for (int64_t e = 0; e < n_experts_; e++)
            ranks_[static_cast<size_t>(e)] = ordered(scores_[static_cast<size_t>(e)] + (bias_ != nullptr ? bias_[e] : 0.0f));
        const int64_t n_candidates = list_candidates();
        sort_best_first(numbers_.data(), n_candidates, p_.n_used, [&](int32_t e) { return ranks_[static_cast<size_t>(e)]; });
        float sum = 0.0f;
        for (int32_t k = 0; k < p_.n_used; k++) {
            experts[k] = static_cast<float>(numbers_[static_cast<size_t>(k)]);
            sum += weights[k] = scores_[static_cast<size_t>(numbers_[static_cast<size_t>(k)])];
        }
        // As the published implementation: scores that are all 0 give weights of 0.
        const float factor = p_.is_normalised != 0 ? p_.scale / (sum + 1e-20f) : p_.scale;
        for (int32_t k = 0; k < p_.n_used; k++) weights[k] *= factor;
    }

  private:
    void score(const float* logits) {
        if (p_.gating == PONDER_MOE_SIGMOID) {
            for (int64_t e = 0; e < n_experts_; e++) scores_[static_cast<size_t>(e)] = 1.0f / (1.0f + std::exp(-logits[e]));
            return;
        }
        const float top = *std::max_element(logits, logits + n_experts_);
        float sum = 0.0f;
        for (int64_t e = 0; e < n_experts_; e++) sum += scores_[static_cast<size_t>(e)] = std::exp(logits[e] - top);
        for (float& score : scores_) score /= sum;
    }

    // Fills numbers_ with the experts of the groups that take part; returns how many.
    int64_t list_candidates() {
        const int64_t group_size = n_experts_ / p_.n_groups;
        std::vector<float> group_ranks(static_cast<size_t>(p_.n_groups));
        std::vector<int32_t> groups(static_cast<size_t>(p_.n_groups));
        for (int32_t g = 0; g < p_.n_groups; g++) {
            float best = -std::numeric_limits<float>::infinity(), second = best;
            for (int64_t e = g * group_size; e < (g + 1) * group_size; e++) {
                const float rank = ranks_[static_cast<size_t>(e)];
                second = std::max(second, std::min(best, rank));
                best = std::max(best, rank);
            }
            groups[static_cast<size_t>(g)] = g;
            group_ranks[static_cast<size_t>(g)] = ordered(bias_ != nullptr && group_size > 1 ? best + second : best);
        }
        sort_best_first(groups.data(), p_.n_groups, p_.n_groups_used, [&](int32_t g) { return group_ranks[static_cast<size_t>(g)]; });
        int64_t n = 0;
        for (int32_t g = 0; g < p_.n_groups_used; g++) {
            for (int64_t i = 0; i < group_size; i++)
                numbers_[static_cast<size_t>(n++)] = static_cast<int32_t>(groups[static_cast<size_t>(g)] * group_size + i);
        }
        return n;
    }

    const ponder_moe_route_params& p_;
    const int64_t n_experts_;
    const float* bias_;
    std::vector<float> scores_, ranks_;
    std::vector<int32_t> numbers_;
};

// One place of the route: expert `expert` works on row `row` with weight `weight`.
struct Assignment {
    int32_t expert, row;
    float weight;
};

// By expert, then row.
std::vector<Assignment> sort_assignments(const Run& run, int32_t experts_id, const float* weights) {
    const int64_t n_used = run.width(experts_id);
    const float* experts = run.rows(experts_id);
    std::vector<Assignment> all;
    all.reserve(static_cast<size_t>(run.n_rows(experts_id) * n_used));
    for (int64_t r = 0; r < run.n_rows(experts_id); r++) {
        for (int64_t k = r * n_used; k < (r + 1) * n_used; k++)
            all.push_back({static_cast<int32_t>(experts[k]), static_cast<int32_t>(r), weights != nullptr ? weights[k] : 0.0f});
    }
    std::sort(all.begin(), all.end(),
              [](const Assignment& a, const Assignment& b) { return a.expert != b.expert ? a.expert < b.expert : a.row < b.row; });
    return all;
}

void prefetch(const Run& run, int32_t weight, int32_t expert, bool is_guess) {
    if (weight >= 0 && run.operand(weight).is_streamed != 0)
        run.batch.source->prefetch(run.batch.source->user_data, weight, &expert, 1, is_guess);
}

// An expert's matrix, held while it is in use if it is streamed.
class HeldMatrix {
  public:
    HeldMatrix(const Run& run, int32_t weight, int32_t expert) : run_(run), weight_(weight), expert_(expert) {
        if (weight < 0) return;
        matrix_ = run.matrix(weight, expert);
        if (run.operand(weight).is_streamed == 0) return;
        const ponder_slice_source& source = *run.batch.source;
        matrix_.data = static_cast<const std::byte*>(source.acquire(source.user_data, weight, expert, run.failure));
        is_held_ = matrix_.data != nullptr;
        if (!is_held_ && run.failure->status == PONDER_STATUS_OK) run.failure->status = PONDER_STATUS_INTERNAL;
    }
    ~HeldMatrix() {
        if (is_held_) run_.batch.source->release(run_.batch.source->user_data, weight_, expert_);
    }
    HeldMatrix(const HeldMatrix&) = delete;
    HeldMatrix& operator=(const HeldMatrix&) = delete;

    const Matrix& get() const { return matrix_; }

  private:
    const Run& run_;
    const int32_t weight_, expert_;
    Matrix matrix_;
    bool is_held_ = false;
};

// Works on the rows of one expert: gathers them, runs the gated feed-forward, adds the weighted results to dst.
void run_expert(const Run& run, const ponder_op& op, std::span<const Assignment> rows) {
    const int32_t expert = rows.front().expert;
    const bool is_fused = op.src[4] < 0;
    const HeldMatrix gate(run, op.src[3], expert), up(run, op.src[4], expert), down(run, op.src[5], expert);
    if (run.should_stop()) return;

    const int64_t n = static_cast<int64_t>(rows.size()), n_embd = run.width(op.src[0]), n_ff = run.width(op.src[5]);
    float* x = run.plan.experts.data();                // [n, n_embd], later the results
    float* hidden = x + run.plan.max_rows * n_embd;    // [n, n_ff]
    float* gates = hidden + run.plan.max_rows * n_ff;  // [n, n_ff or 2 * n_ff]
    float* ups = gates + run.plan.max_rows * n_ff;     // [n, n_ff]
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

void moe_route(const Run& run, const ponder_op& op) {
    const int64_t n_experts = run.width(op.src[0]), n_used = op.params.moe_route.n_used;
    const float* logits = run.rows(op.src[0]);
    Router router(op.params.moe_route, n_experts, run.vector(op.src[1]));
    for (int64_t r = 0; r < run.n_rows(op.src[0]); r++)
        router.choose(logits + r * n_experts, run.rows(op.dst[0]) + r * n_used, run.rows(op.dst[1]) + r * n_used);
}

void add_moe_scratch(const ponder_program& program, const ponder_op& op, int32_t max_rows, ScratchSizes& sizes) {
    const int64_t n_embd = program.operands[op.src[0]].dims[0], n_ff = program.operands[op.src[5]].dims[0];
    add_multiply_scratch(n_embd, sizes);
    add_multiply_scratch(n_ff, sizes);
    sizes.experts = std::max(sizes.experts, static_cast<size_t>(max_rows * (n_embd + 3 * n_ff)));
}

void moe_ffn(const Run& run, const ponder_op& op) {
    const std::vector<Assignment> all = sort_assignments(run, op.src[1], run.rows(op.src[2]));
    std::vector<std::span<const Assignment>> by_expert;
    for (size_t begin = 0; begin < all.size();) {
        size_t end = begin;
        while (end < all.size() && all[end].expert == all[begin].expert) end++;
        by_expert.push_back(std::span(all).subspan(begin, end - begin));
        begin = end;
    }
    for (const auto& rows : by_expert) {
        for (const int i : {3, 4, 5}) prefetch(run, op.src[i], rows.front().expert, false);
    }
    std::fill_n(run.rows(op.dst[0]), run.n_rows(op.dst[0]) * run.width(op.dst[0]), 0.0f);
    for (const auto& rows : by_expert) {
        if (run.should_stop()) return;
        run_expert(run, op, rows);
    }
}

void moe_prefetch(const Run& run, const ponder_op& op) {
    int32_t previous = -1;
    for (const Assignment& a : sort_assignments(run, op.src[0], nullptr)) {
        if (a.expert == previous) continue;
        previous = a.expert;
        for (const int i : {1, 2, 3}) prefetch(run, op.src[i], a.expert, true);
    }
}

}  // namespace ponder::ref
