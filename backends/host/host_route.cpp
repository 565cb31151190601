// SPDX-License-Identifier: Apache-2.0
// The router's choice of experts, and guesses of the next.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory_resource>
#include <vector>

#include "host_run.hpp"

namespace ponder::host {

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
    Router(const ponder_moe_route_params& params, int64_t n_experts, const float* bias, std::pmr::memory_resource& lists)
        : p_(params),
          n_experts_(n_experts),
          bias_(bias),
          scores_(static_cast<size_t>(n_experts), &lists),
          ranks_(static_cast<size_t>(n_experts), &lists),
          group_ranks_(static_cast<size_t>(params.n_groups), &lists),
          numbers_(static_cast<size_t>(n_experts), &lists),
          groups_(static_cast<size_t>(params.n_groups), &lists) {}

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
        for (int32_t g = 0; g < p_.n_groups; g++) {
            float best = -std::numeric_limits<float>::infinity(), second = best;
            for (int64_t e = g * group_size; e < (g + 1) * group_size; e++) {
                const float rank = ranks_[static_cast<size_t>(e)];
                second = std::max(second, std::min(best, rank));
                best = std::max(best, rank);
            }
            groups_[static_cast<size_t>(g)] = g;
            group_ranks_[static_cast<size_t>(g)] = ordered(bias_ != nullptr && group_size > 1 ? best + second : best);
        }
        sort_best_first(groups_.data(), p_.n_groups, p_.n_groups_used, [&](int32_t g) { return group_ranks_[static_cast<size_t>(g)]; });
        int64_t n = 0;
        for (int32_t g = 0; g < p_.n_groups_used; g++) {
            for (int64_t i = 0; i < group_size; i++)
                numbers_[static_cast<size_t>(n++)] = static_cast<int32_t>(groups_[static_cast<size_t>(g)] * group_size + i);
        }
        return n;
    }

    const ponder_moe_route_params& p_;
    const int64_t n_experts_;
    const float* bias_;
    std::pmr::vector<float> scores_, ranks_, group_ranks_;
    std::pmr::vector<int32_t> numbers_, groups_;
};

}  // namespace

void moe_route(const Run& run, const ponder_op& op) {
    const int64_t n_experts = run.width(op.src[0]), n_used = op.params.moe_route.n_used;
    const float* logits = run.rows(op.src[0]);
    Router router(op.params.moe_route, n_experts, run.vector(op.src[1]), run.lists);
    for (int64_t r = 0; r < run.n_rows(op.src[0]); r++)
        router.choose(logits + r * n_experts, run.rows(op.dst[0]) + r * n_used, run.rows(op.dst[1]) + r * n_used);
}

void moe_prefetch(const Run& run, const ponder_op& op) {
    int32_t previous = -1;
    for (const Assignment& a : sort_assignments(run, op.src[0], nullptr)) {
        if (a.expert == previous) continue;
        previous = a.expert;
        for (const int i : {1, 2, 3}) prefetch(run, op.src[i], a.expert, true);
    }
}

}  // namespace ponder::host
