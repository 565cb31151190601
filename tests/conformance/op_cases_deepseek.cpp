// SPDX-License-Identifier: Apache-2.0
// Cases of latent attention, routing and experts: the expanded form and the published rules, written out in double precision.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "op_cases.hpp"

namespace ponder_test {

using namespace ponder;

namespace {

// As for attention; the absorbed form adds two sums more.
constexpr double kLimit = 1e-10, kCacheF16Limit = 1e-6, kCacheQ8Limit = 2e-4;

struct MlaShape {
    int n_heads, n_nope, n_rope, n_latent, v_dim;
    bool is_split;
};

// Each head's keys [n_nope] and values [v_dim] of a latent, whatever the layout of the maps.
struct LatentMaps {
    Rows keys, values;  // [n_heads * n_nope], [n_heads * v_dim] rows of [n_latent]
};

LatentMaps make_maps(CaseMaker& maker, const MlaShape& s, int32_t type, OperandId& k_b, OperandId& v_b) {
    LatentMaps maps;
    if (s.is_split) {
        Rows transposed;
        k_b = maker.matrices(type, s.n_nope, s.n_latent, s.n_heads, false, transposed);
        v_b = maker.matrices(type, s.n_latent, s.v_dim, s.n_heads, false, maps.values);
        for (int h = 0; h < s.n_heads; h++) {
            for (int i = 0; i < s.n_nope; i++) {
                maps.keys.emplace_back();
                for (int j = 0; j < s.n_latent; j++)
                    maps.keys.back().push_back(transposed[static_cast<size_t>(h * s.n_latent + j)][static_cast<size_t>(i)]);
            }
        }
        return maps;
    }
    Rows both;
    k_b = maker.matrix(type, s.n_latent, int64_t{s.n_heads} * (s.n_nope + s.v_dim), both);
    v_b = kNoOperand;
    for (int h = 0; h < s.n_heads; h++) {
        const auto head = both.begin() + h * (s.n_nope + s.v_dim);
        maps.keys.insert(maps.keys.end(), head, head + s.n_nope);
        maps.values.insert(maps.values.end(), head + s.n_nope, head + s.n_nope + s.v_dim);
    }
    return maps;
}

OpCase mla_case(const MlaShape& s, int32_t type, int32_t kv_type, double limit) {
    return {"mla_attention " + std::to_string(s.n_heads) + "x" + std::to_string(s.n_nope) + "+" + std::to_string(s.n_rope) + " latent " +
                std::to_string(s.n_latent) + (s.is_split ? " split " : " combined ") + find_quant_type(type)->name + ", cache " +
                find_quant_type(kv_type)->name,
            limit, kv_type, [=](CaseMaker& maker, Rows& expected) {
                const int head_dim = s.n_nope + s.n_rope;
                Rows q, cached;
                const OperandId q_id = maker.input(int64_t{s.n_heads} * head_dim, q);
                const OperandId latent_id = maker.input(s.n_latent + s.n_rope, cached);
                OperandId k_b = kNoOperand, v_b = kNoOperand;
                const LatentMaps maps = make_maps(maker, s, type, k_b, v_b);
                const double scale = 0.3 / std::sqrt(head_dim * s.n_latent);
                Rows k, v;
                for (const auto& row : cached) {
                    const std::vector<double> latent(row.begin(), row.begin() + s.n_latent);
                    const auto keys = product(latent, maps.keys);
                    v.push_back(product(latent, maps.values));
                    k.emplace_back();
                    for (int h = 0; h < s.n_heads; h++) {
                        k.back().insert(k.back().end(), keys.begin() + h * s.n_nope, keys.begin() + (h + 1) * s.n_nope);
                        k.back().insert(k.back().end(), row.begin() + s.n_latent, row.end());
                    }
                }
                for (size_t r = 0; r < q.size(); r++) {
                    expected.emplace_back();
                    for (int h = 0; h < s.n_heads; h++) {
                        const auto head = attend(maker.batch, r, q[r].data() + h * head_dim, k, v, h, head_dim, s.v_dim, scale);
                        expected.back().insert(expected.back().end(), head.begin(), head.end());
                    }
                }
                const auto kv = maker.program.kv().add_layer(s.n_latent + s.n_rope, 0);
                maker.program.kv_write(latent_id, kNoOperand, *kv);
                return maker.program.mla_attention(q_id, k_b, v_b,
                                                   {*kv, s.n_heads, s.n_nope, s.n_rope, s.n_latent, s.v_dim, static_cast<float>(scale)});
            }};
}

// The rule of ponder_moe_route_params for one row: numbers, then weights.
std::vector<std::pair<int, double>> choose(const std::vector<double>& logits, const std::vector<double>& bias,
                                           const ponder_moe_route_params& p) {
    const size_t n = logits.size(), group_size = n / static_cast<size_t>(p.n_groups);
    std::vector<double> scores(n), ranks(n);
    double sum = 0.0;
    for (const double l : logits) sum += std::exp(l);
    for (size_t e = 0; e < n; e++) {
        scores[e] = p.gating == PONDER_MOE_SIGMOID ? 1.0 / (1.0 + std::exp(-logits[e])) : std::exp(logits[e]) / sum;
        ranks[e] = scores[e] + (bias.empty() ? 0.0 : bias[e]);
    }
    std::vector<std::pair<double, size_t>> groups;
    for (size_t g = 0; g < static_cast<size_t>(p.n_groups); g++) {
        std::vector<double> members(ranks.begin() + static_cast<ptrdiff_t>(g * group_size),
                                    ranks.begin() + static_cast<ptrdiff_t>((g + 1) * group_size));
        std::sort(members.rbegin(), members.rend());
        groups.emplace_back(members[0] + (bias.empty() || members.size() < 2 ? 0.0 : members[1]), g);
    }
    std::sort(groups.rbegin(), groups.rend());
    std::vector<std::pair<double, int>> candidates;
    for (int32_t i = 0; i < p.n_groups_used; i++) {
        for (size_t e = 0; e < group_size; e++) {
            const size_t expert = groups[static_cast<size_t>(i)].second * group_size + e;
            candidates.emplace_back(ranks[expert], static_cast<int>(expert));
        }
    }
    std::sort(candidates.rbegin(), candidates.rend());
    std::vector<std::pair<int, double>> chosen;
    double total = 0.0;
    for (int32_t k = 0; k < p.n_used; k++) {
        const int expert = candidates[static_cast<size_t>(k)].second;
        chosen.emplace_back(expert, scores[static_cast<size_t>(expert)]);
        total += chosen.back().second;
    }
    for (auto& [expert, weight] : chosen) weight *= p.scale / (p.is_normalised ? total : 1.0);
    return chosen;
}

struct MoeShape {
    int n_experts, n_embd, n_ff;
    bool has_bias, is_fused, is_sliced;
    ponder_moe_route_params route;
};

std::string describe(const MoeShape& s) {
    return std::to_string(s.n_experts) + " experts, " + std::to_string(s.route.n_groups_used) + "/" + std::to_string(s.route.n_groups) +
           " groups, " + std::to_string(s.route.n_used) + " used" + (s.route.gating == PONDER_MOE_SIGMOID ? ", sigmoid" : ", softmax") +
           (s.has_bias ? ", bias" : "") + (s.is_fused ? ", fused" : "") + (s.is_sliced ? ", apart" : "");
}

ProgramBuilder::Route add_route(CaseMaker& maker, const MoeShape& s, std::vector<std::vector<std::pair<int, double>>>& chosen) {
    Rows logits;
    std::vector<double> bias;
    const OperandId logits_id = maker.input(s.n_experts, logits);
    const OperandId bias_id = s.has_bias ? maker.vector(s.n_experts, bias) : kNoOperand;
    for (const auto& row : logits) chosen.push_back(choose(row, bias, s.route));
    return maker.program.moe_route(logits_id, bias_id, s.route);
}

OpCase route_case(const MoeShape& s, bool is_weights) {
    return {(is_weights ? "moe_route weights of " : "moe_route numbers of ") + describe(s), kLimit, PONDER_TYPE_F32,
            [=](CaseMaker& maker, Rows& expected) {
                std::vector<std::vector<std::pair<int, double>>> chosen;
                const auto route = add_route(maker, s, chosen);
                for (const auto& row : chosen) {
                    expected.emplace_back();
                    for (const auto& [expert, weight] : row) expected.back().push_back(is_weights ? weight : expert);
                }
                return is_weights ? route.weights : route.experts;
            }};
}

OpCase moe_case(const MoeShape& s, int32_t type, int32_t up_type) {
    return {std::string("moe_ffn ") + find_quant_type(type)->name + " " + find_quant_type(up_type)->name + " " + describe(s), kLimit,
            PONDER_TYPE_F32, [=](CaseMaker& maker, Rows& expected) {
                std::vector<std::vector<std::pair<int, double>>> chosen;
                const auto route = add_route(maker, s, chosen);
                Rows x, gate, up, down;
                const OperandId src = maker.input(s.n_embd, x);
                ProgramBuilder::Experts experts{};
                experts.gate = maker.matrices(type, s.n_embd, s.is_fused ? 2 * s.n_ff : s.n_ff, s.n_experts, s.is_sliced, gate);
                experts.up = s.is_fused ? kNoOperand : maker.matrices(up_type, s.n_embd, s.n_ff, s.n_experts, s.is_sliced, up);
                experts.down = maker.matrices(type, s.n_ff, s.n_embd, s.n_experts, s.is_sliced, down);
                const auto rows_of = [](const Rows& all, int first, int n) { return Rows(all.begin() + first, all.begin() + first + n); };
                for (size_t r = 0; r < x.size(); r++) {
                    expected.emplace_back(static_cast<size_t>(s.n_embd), 0.0);
                    for (const auto& [expert, weight] : chosen[r]) {
                        const int stride = s.is_fused ? 2 * s.n_ff : s.n_ff;
                        const auto g = product(x[r], rows_of(gate, expert * stride, s.n_ff));
                        const auto u = product(
                            x[r], s.is_fused ? rows_of(gate, expert * stride + s.n_ff, s.n_ff) : rows_of(up, expert * s.n_ff, s.n_ff));
                        std::vector<double> hidden;
                        for (size_t i = 0; i < g.size(); i++) hidden.push_back(g[i] / (1.0 + std::exp(-g[i])) * u[i]);
                        const auto y = product(hidden, rows_of(down, expert * s.n_embd, s.n_embd));
                        for (size_t i = 0; i < y.size(); i++) expected.back()[i] += weight * y[i];
                    }
                }
                return maker.program.moe_ffn(src, route, experts);
            }};
}

}  // namespace

std::vector<OpCase> long_latent_cases() {
    std::vector<OpCase> cases;
    // Groups of heads that are not full, several of them, and fewer heads than one has.
    for (const int n_heads : {3, 33, 40})
        cases.push_back(mla_case({n_heads, 16, 8, 32, 16, true}, PONDER_TYPE_F32, PONDER_TYPE_F32, kLimit));
    cases.push_back(mla_case({10, 16, 32, 32, 16, false}, PONDER_TYPE_F16, PONDER_TYPE_Q8_0, kCacheQ8Limit));
    return cases;
}

std::vector<OpCase> deepseek_op_cases() {
    std::vector<OpCase> cases;
    for (const bool is_split : {false, true}) {
        // With many latents and short values the expanded form is cheaper for 47 rows, the absorbed one for few.
        cases.push_back(mla_case({3, 16, 8, 64, 32, is_split}, PONDER_TYPE_F32, PONDER_TYPE_F32, kLimit));
        cases.push_back(mla_case({2, 16, 8, 128, 3, is_split}, PONDER_TYPE_F32, PONDER_TYPE_F32, kLimit));
        cases.push_back(mla_case({2, 32, 16, 256, 4, is_split}, PONDER_TYPE_Q8_0, PONDER_TYPE_F16, kCacheF16Limit));
        cases.push_back(mla_case({1, 1, 2, 1, 1, is_split}, PONDER_TYPE_F32, PONDER_TYPE_F32, kLimit));
        cases.push_back(mla_case({2, 32, 16, 32, 32, is_split}, PONDER_TYPE_Q8_0, PONDER_TYPE_F16, kCacheF16Limit));
        cases.push_back(mla_case({2, 32, 32, 32, 32, is_split}, PONDER_TYPE_F16, PONDER_TYPE_Q8_0, kCacheQ8Limit));
        cases.push_back(mla_case({2, 64, 16, 128, 4, is_split}, PONDER_TYPE_BF16, PONDER_TYPE_F32, kLimit));
        cases.push_back(mla_case({3, 40, 8, 129, 33, is_split}, PONDER_TYPE_F8_E4M3, PONDER_TYPE_F32, kLimit));
    }
    const MoeShape shapes[] = {
        {8, 33, 17, false, false, false, {2, 1, 1, PONDER_MOE_SOFTMAX, 0, 1.0f}},
        {16, 32, 64, true, false, true, {3, 4, 2, PONDER_MOE_SIGMOID, 1, 2.5f}},
        {12, 16, 33, true, true, false, {4, 3, 2, PONDER_MOE_SIGMOID, 1, 1.0f}},
        {12, 31, 16, false, true, true, {3, 4, 3, PONDER_MOE_SOFTMAX, 1, 16.0f}},
        {1, 8, 8, false, false, false, {1, 1, 1, PONDER_MOE_SOFTMAX, 0, 1.0f}},
        {256, 8, 8, true, false, false, {8, 8, 4, PONDER_MOE_SIGMOID, 1, 2.5f}},
        {320, 8, 8, false, false, false, {6, 1, 1, PONDER_MOE_SOFTMAX, 0, 1.0f}},
    };
    for (const MoeShape& s : shapes) {
        cases.push_back(route_case(s, false));
        cases.push_back(route_case(s, true));
        cases.push_back(moe_case(s, PONDER_TYPE_F32, PONDER_TYPE_F32));
    }
    cases.push_back(moe_case({4, 64, 32, true, false, false, {2, 2, 1, PONDER_MOE_SIGMOID, 1, 2.5f}}, PONDER_TYPE_Q8_0, PONDER_TYPE_Q8_0));
    cases.push_back(
        moe_case({4, 130, 129, true, false, true, {2, 2, 1, PONDER_MOE_SIGMOID, 1, 2.5f}}, PONDER_TYPE_F8_E4M3, PONDER_TYPE_F8_E4M3));
    // An expert that all rows go to, whose matrices may take its rows in different forms.
    const MoeShape shared = {2, 128, 64, false, false, false, {2, 1, 1, PONDER_MOE_SOFTMAX, 0, 1.0f}};
    for (const int32_t type : {PONDER_TYPE_BF16, PONDER_TYPE_Q8_0, PONDER_TYPE_F16}) {
        cases.push_back(moe_case(shared, PONDER_TYPE_BF16, type));
        if (type != PONDER_TYPE_BF16) cases.push_back(moe_case(shared, type, PONDER_TYPE_BF16));
    }
    return cases;
}

}  // namespace ponder_test
