#version 450
// SPDX-License-Identifier: Apache-2.0
// The router's choice of experts for one row; ponder_moe_route_params has the rule. An expert's place is the number of those before it.
#include "common.glsl"
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint N_EXPERTS = 256;
layout(push_constant) uniform Route {
    Floats logits, bias, experts, weights;
    uint logits_stride, dst_stride;
    uint n_used, n_groups, n_groups_used, is_sigmoid, is_normalised;
    float scale;
} pc;
shared float scores[N_EXPERTS], ranks[N_EXPERTS], group_ranks[N_EXPERTS];
shared uint is_candidate[N_EXPERTS], chosen[N_EXPERTS];
shared float partial[256];

float lowest() { return uintBitsToFloat(0xff800000u); }

// Weights of a broken file may give anything; ranks must have an order all the same.
float ordered(float rank) { return isnan(rank) ? lowest() : rank; }
bool is_before(float a, uint i, float b, uint j) { return a > b || (a == b && i < j); }

void main() {
    const uint thread = gl_LocalInvocationIndex, row = gl_WorkGroupID.x;
    const bool has_bias = uvec2(pc.bias) != uvec2(0);
    float top = 0.0, sum = 1.0;
    if (pc.is_sigmoid == 0) {
        top = lowest();
        for (uint e = 0; e < N_EXPERTS; e++) top = max(top, pc.logits.v[row * pc.logits_stride + e]);
        float part = 0.0;
        for (uint e = thread; e < N_EXPERTS; e += 256) part += exp(pc.logits.v[row * pc.logits_stride + e] - top);
        partial[thread] = part;
        for (uint n = 128; n > 0; n /= 2) {
            barrier();
            if (thread < n) partial[thread] += partial[thread + n];
        }
        barrier();
        sum = partial[0];
    }
    for (uint e = thread; e < N_EXPERTS; e += 256) {
        const float logit = pc.logits.v[row * pc.logits_stride + e];
        scores[e] = pc.is_sigmoid != 0 ? 1.0 / (1.0 + exp(-logit)) : exp(logit - top) / sum;
        ranks[e] = ordered(scores[e] + (has_bias ? pc.bias.v[e] : 0.0));
    }
    for (uint k = thread; k < pc.n_used; k += 256) chosen[k] = k;  // never left unset, whatever the ranks
    barrier();
    const uint group_size = N_EXPERTS / pc.n_groups;
    for (uint g = thread; g < pc.n_groups; g += 256) {
        float best = lowest(), second = lowest();
        for (uint e = g * group_size; e < (g + 1) * group_size; e++) {
            second = max(second, min(best, ranks[e]));
            best = max(best, ranks[e]);
        }
        group_ranks[g] = ordered(has_bias && group_size > 1 ? best + second : best);
    }
    barrier();
    for (uint g = thread; g < pc.n_groups; g += 256) {
        uint place = 0;
        for (uint i = 0; i < pc.n_groups; i++) place += is_before(group_ranks[i], i, group_ranks[g], g) ? 1 : 0;
        is_candidate[g] = place < pc.n_groups_used ? 1 : 0;
    }
    barrier();
    for (uint e = thread; e < N_EXPERTS; e += 256) {
        if (is_candidate[e / group_size] == 0) continue;
        uint place = 0;
        for (uint i = 0; i < N_EXPERTS; i++)
            place += is_candidate[i / group_size] != 0 && is_before(ranks[i], i, ranks[e], e) ? 1 : 0;
        if (place < pc.n_used) chosen[place] = e;
    }
    barrier();
    float total = 0.0;
    for (uint k = 0; k < pc.n_used; k++) total += scores[chosen[k]];
    // As the published implementation: scores that are all 0 give weights of 0.
    const float factor = pc.is_normalised != 0 ? pc.scale / (total + 1e-20) : pc.scale;
    for (uint k = thread; k < pc.n_used; k += 256) {
        pc.experts.v[row * pc.dst_stride + k] = float(chosen[k]);
        pc.weights.v[row * pc.dst_stride + k] = scores[chosen[k]] * factor;
    }
}
