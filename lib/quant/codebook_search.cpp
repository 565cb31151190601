// SPDX-License-Identifier: Apache-2.0
// Scale search over a codebook: guesses that put the extreme element near an end of the codebook, then rounding and refitting in turn.
#include "quant/codebook_search.hpp"

#include <algorithm>
#include <cmath>

namespace ponder {

Rounding round_to_codebook(const Group& group, const Codebook& book, float scale, int8_t* codes) {
    const float doubled_inverse = scale != 0 ? 2.0f / scale : 0.0f;
    Rounding sums{};
    for (int i = 0; i < group.n; i++) {
        const float x = group.x[i], w = group.w[i];
        const float position = x * doubled_inverse + 256.0f;
        const int slot = position > 0 ? static_cast<int>(std::min(position, 511.0f)) : 0;  // so that NaN is 0 as well
        const uint8_t code = book.codes[static_cast<size_t>(slot)];
        const float level = book.levels[code], residual = x - scale * level;
        sums.error += w * residual * residual;
        sums.sum_wq += w * level;
        sums.sum_wqq += w * level * level;
        sums.sum_wxq += w * x * level;
        if (codes) codes[i] = static_cast<int8_t>(code);
    }
    return sums;
}

LinearFit search_codebook(const Group& group, const Codebook& book) {
    float extreme = group.x[0];
    for (int i = 1; i < group.n; i++) extreme = std::fabs(group.x[i]) > std::fabs(extreme) ? group.x[i] : extreme;
    LinearFit best{.scale = 0, .error = group.sum_wxx};
    if (std::fabs(extreme) <= kFlat) return best;
    const auto consider = [&](float scale) {
        const Rounding rounding = round_to_codebook(group, book, scale);
        if (rounding.sum_wqq <= kFlat) return false;
        const float refit = rounding.sum_wxq / rounding.sum_wqq, error = group.sum_wxx - refit * rounding.sum_wxq;
        if (!(error < best.error) || refit == 0) return false;
        best = {refit, error};
        return true;
    };
    const auto [low, high] = std::minmax_element(book.levels.begin(), book.levels.end());
    for (int k = -4; k <= 6; k++) {
        const float stretch = 1.0f + 0.03f * static_cast<float>(k);
        consider(extreme / (static_cast<float>(*low) * stretch));
        consider(extreme / (static_cast<float>(*high) * stretch));
    }
    for (int k = 0; k < kMaxRefinements && best.scale != 0; k++) {
        if (!consider(best.scale)) break;
    }
    return best;
}

}  // namespace ponder
