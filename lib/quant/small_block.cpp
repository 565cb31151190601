// SPDX-License-Identifier: Apache-2.0
// The search for one block of 32: best scale, rounded to a half, and the levels that suit what it was rounded to.
#include "quant/small_block.hpp"
#include "quant/scale_search.hpp"

namespace ponder {

SmallBlock encode_linear_block(const float* src, const float* importance, int low, int high) {
    SmallBlock out;
    SearchBlock block;
    if (!block.prepare(src, importance, 32)) return out;
    const Group group = make_group(block.x, block.w, 32);
    const LinearFit fit = search_linear(group, static_cast<float>(low), static_cast<float>(high));
    const float d = block.round_to_half(fit.scale, &out.d);
    round_group(group, d, 0, static_cast<float>(low), static_cast<float>(high), out.levels);
    return out;
}

SmallBlock encode_affine_block(const float* src, const float* importance, int high) {
    SmallBlock out;
    SearchBlock block;
    if (!block.prepare(src, importance, 32)) return out;
    const Group group = make_group(block.x, block.w, 32);
    const AffineFit fit = search_affine(group, static_cast<float>(high), false);
    const float d = block.round_to_half(fit.scale, &out.d), m = block.round_to_half(fit.min, &out.m);
    round_group(group, d, m, 0, static_cast<float>(high), out.levels);
    return out;
}

}  // namespace ponder
