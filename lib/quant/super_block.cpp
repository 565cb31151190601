// SPDX-License-Identifier: Apache-2.0
// Chooses a super-block's scales: each group's own best fit, then integer scales near it under a common scale that is refitted to them.
#include "quant/super_block.hpp"

#include <algorithm>
#include <cmath>

#include "quant/lanes.hpp"

namespace ponder {
namespace {

constexpr int kMaxGroups = 16;
constexpr int kMaxRefits = 3;

// One choice of all scales of a block, with the sums that say which common scales would suit its levels better.
struct Choice {
    uint16_t half_d = 0, half_dmin = 0;
    float d = 0, dmin = 0;  // what the halves mean in units of the search
    int scales[kMaxGroups] = {}, mins[kMaxGroups] = {};
    Rounding roundings[kMaxGroups] = {};
    float error = 0;
};

// The nearest whole number in [low, high]; low for NaN.
int nearest_in(float value, int low, int high) {
    if (value >= static_cast<float>(high)) return high;
    return value > static_cast<float>(low) ? static_cast<int>(round1(value)) : low;
}

// Best integer scale and minimum of group g near its own fit: tries the neighbouring scales, each with the minimum that suits it.
void choose_affine(const Group& group, const AffineFit& fit, const SuperShape& shape, int g, Choice& choice) {
    const float high = static_cast<float>(shape.high);
    const int centre = choice.d > 0 ? nearest_in(fit.scale / choice.d, 0, shape.scale_high) : 0;
    const int fitted_min = choice.dmin > 0 ? nearest_in(-fit.min / choice.dmin, 0, shape.scale_high) : 0;
    bool is_first = true;
    const auto consider = [&](int scale, int min, const Rounding& rounding) {
        if (!is_first && !(rounding.error < choice.roundings[g].error)) return;
        is_first = false;
        choice.scales[g] = scale;
        choice.mins[g] = min;
        choice.roundings[g] = rounding;
    };
    for (int scale = std::max(centre - 1, 0); scale <= std::min(centre + 1, shape.scale_high); scale++) {
        const float step = choice.d * static_cast<float>(scale);
        const Rounding rounding = round_group(group, step, -choice.dmin * static_cast<float>(fitted_min), 0, high);
        consider(scale, fitted_min, rounding);
        if (choice.dmin <= 0 || group.sum_w <= 0) continue;
        const float best_min = (step * rounding.sum_wq - group.sum_wx) / group.sum_w;
        const int min = nearest_in(best_min / choice.dmin, 0, shape.scale_high);
        if (min != fitted_min) consider(scale, min, round_group(group, step, -choice.dmin * static_cast<float>(min), 0, high));
    }
}

Choice choose_all_affine(const SearchBlock& block, const Group* groups, const AffineFit* fits, const SuperShape& shape, float d,
                         float dmin) {
    Choice choice;
    choice.d = block.round_to_half(d, &choice.half_d);
    choice.dmin = block.round_to_half(dmin, &choice.half_dmin);
    for (int g = 0; g < shape.n_groups; g++) {
        choose_affine(groups[g], fits[g], shape, g, choice);
        choice.error += choice.roundings[g].error;
    }
    return choice;
}

// Least squares of d and dmin for the chosen integers and levels. False if they do not determine both.
bool refit_affine(const Choice& choice, const Group* groups, int n_groups, float* d, float* dmin) {
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;  // a = scale * level, b = -min
    for (int g = 0; g < n_groups; g++) {
        const double scale = choice.scales[g], min = choice.mins[g];
        const Rounding& rounding = choice.roundings[g];
        aa += scale * scale * rounding.sum_wqq;
        ab -= scale * min * rounding.sum_wq;
        bb += min * min * groups[g].sum_w;
        ax += scale * rounding.sum_wxq;
        bx -= min * groups[g].sum_wx;
    }
    if (bb == 0 && aa > 0) {
        *d = static_cast<float>(ax / aa);
        *dmin = choice.dmin;
        return *d > 0;
    }
    const double determinant = aa * bb - ab * ab;
    if (!(determinant > 1e-12 * aa * bb)) return false;
    *d = static_cast<float>((ax * bb - bx * ab) / determinant);
    *dmin = static_cast<float>((bx * aa - ax * ab) / determinant);
    return *d > 0 && *dmin >= 0;
}

Rounding round_linear(const Group& group, float scale, const SuperShape& shape, int8_t* levels = nullptr) {
    if (shape.codebook) return round_to_codebook(group, *shape.codebook, scale, levels);
    return round_group(group, scale, 0, static_cast<float>(shape.low), static_cast<float>(shape.high), levels);
}

void choose_linear(const Group& group, const LinearFit& fit, const SuperShape& shape, int g, Choice& choice) {
    const int centre = choice.d != 0 ? nearest_in(fit.scale / choice.d, shape.scale_low, shape.scale_high) : 0;
    bool is_first = true;
    for (int scale = std::max(centre - 1, shape.scale_low); scale <= std::min(centre + 1, shape.scale_high); scale++) {
        const Rounding rounding = round_linear(group, choice.d * static_cast<float>(scale), shape);
        if (!is_first && !(rounding.error < choice.roundings[g].error)) continue;
        is_first = false;
        choice.scales[g] = scale;
        choice.roundings[g] = rounding;
    }
}

Choice choose_all_linear(const SearchBlock& block, const Group* groups, const LinearFit* fits, const SuperShape& shape, float d) {
    Choice choice;
    choice.d = block.round_to_half(d, &choice.half_d);
    for (int g = 0; g < shape.n_groups; g++) {
        choose_linear(groups[g], fits[g], shape, g, choice);
        choice.error += choice.roundings[g].error;
    }
    return choice;
}

// The block's fields, but for the levels.
SuperBlock take_scales(const Choice& choice, int n_groups) {
    SuperBlock out;
    out.d = choice.half_d;
    out.dmin = choice.half_dmin;
    for (int g = 0; g < n_groups; g++) {
        out.scales[g] = static_cast<int8_t>(choice.scales[g]);
        out.mins[g] = static_cast<int8_t>(choice.mins[g]);
    }
    return out;
}

}  // namespace

SuperBlock encode_affine_super_block(const float* src, const float* importance, const SuperShape& shape) {
    SearchBlock block;
    if (!block.prepare(src, importance, 256)) return {};
    Group groups[kMaxGroups];
    AffineFit fits[kMaxGroups];
    float most_scale = 0, most_min = 0;
    for (int g = 0; g < shape.n_groups; g++) {
        groups[g] = make_group(block.x + g * shape.group_len, block.w + g * shape.group_len, shape.group_len);
        fits[g] = search_affine(groups[g], static_cast<float>(shape.high), true);
        most_scale = std::max(most_scale, fits[g].scale);
        most_min = std::max(most_min, -fits[g].min);
    }
    const float steps = static_cast<float>(shape.scale_high);
    Choice best = choose_all_affine(block, groups, fits, shape, most_scale / steps, most_min / steps);
    for (int k = 0; k < kMaxRefits; k++) {
        float d = 0, dmin = 0;
        if (!refit_affine(best, groups, shape.n_groups, &d, &dmin)) break;
        const Choice choice = choose_all_affine(block, groups, fits, shape, d, dmin);
        if (!(choice.error < best.error)) break;
        best = choice;
    }
    SuperBlock out = take_scales(best, shape.n_groups);
    for (int g = 0; g < shape.n_groups; g++) {
        const float scale = best.d * static_cast<float>(best.scales[g]), min = -best.dmin * static_cast<float>(best.mins[g]);
        round_group(groups[g], scale, min, 0, static_cast<float>(shape.high), out.levels + g * shape.group_len);
    }
    return out;
}

SuperBlock encode_linear_super_block(const float* src, const float* importance, const SuperShape& shape) {
    SearchBlock block;
    if (!block.prepare(src, importance, 256)) return {};
    Group groups[kMaxGroups];
    LinearFit fits[kMaxGroups];
    float extreme = 0;
    for (int g = 0; g < shape.n_groups; g++) {
        groups[g] = make_group(block.x + g * shape.group_len, block.w + g * shape.group_len, shape.group_len);
        fits[g] = shape.codebook ? search_codebook(groups[g], *shape.codebook)
                                 : search_linear(groups[g], static_cast<float>(shape.low), static_cast<float>(shape.high));
        if (std::fabs(fits[g].scale) > std::fabs(extreme)) extreme = fits[g].scale;
    }
    // The lowest integer scale is the largest in magnitude, so the extreme scale goes there.
    Choice best = choose_all_linear(block, groups, fits, shape, extreme / static_cast<float>(shape.scale_low));
    for (int k = 0; k < kMaxRefits; k++) {
        double qq = 0, xq = 0;
        for (int g = 0; g < shape.n_groups; g++) {
            const double scale = best.scales[g];
            qq += scale * scale * best.roundings[g].sum_wqq;
            xq += scale * best.roundings[g].sum_wxq;
        }
        if (!(qq > 0)) break;
        const Choice choice = choose_all_linear(block, groups, fits, shape, static_cast<float>(xq / qq));
        if (!(choice.error < best.error)) break;
        best = choice;
    }
    SuperBlock out = take_scales(best, shape.n_groups);
    for (int g = 0; g < shape.n_groups; g++) {
        round_linear(groups[g], best.d * static_cast<float>(best.scales[g]), shape, out.levels + g * shape.group_len);
    }
    return out;
}

}  // namespace ponder
