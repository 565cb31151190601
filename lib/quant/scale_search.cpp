// SPDX-License-Identifier: Apache-2.0
// Scale search by weighted least squares: several first guesses, each improved by alternating between rounding and refitting.
#include "quant/scale_search.hpp"

#include <bit>

#include "base/half.hpp"
#include "quant/lanes.hpp"

namespace ponder {
namespace {

// Far past what half scales can express, yet the power of two above, its reciprocal, and a half divided by it are all normal floats.
constexpr float kLargest = 0x1p100f;
constexpr float kSmallest = 0x1p-100f;

struct Sums {
    float wq, wqq, wxq;
};

// Sums over q = round((x - base) * inverse) held to [low, high].
Sums sum_levels(const Group& group, float inverse, float base, float low, float high) {
    Float4 wq{}, wqq{}, wxq{};
    const Float4 inverse4 = all4(inverse), base4 = all4(base), low4 = all4(low), high4 = all4(high);
    for (int i = 0; i < group.n; i += 4) {
        const Float4 x = load4(group.x + i);
        const Float4 q = clamp4(round4((x - base4) * inverse4), low4, high4);
        const Float4 weighted = load4(group.w + i) * q;
        wq += weighted;
        wqq += weighted * q;
        wxq += weighted * x;
    }
    return {sum4(wq), sum4(wqq), sum4(wxq)};
}

// Least squares of scale and minimum for given levels; an unusable fit has the error of rounding all to zero.
AffineFit fit_affine(const Group& group, const Sums& sums, bool is_min_negative) {
    AffineFit fit{.scale = 0, .min = 0, .error = group.sum_wxx};
    const float determinant = group.sum_w * sums.wqq - sums.wq * sums.wq;
    float scale = 0, min = 0;
    if (determinant > kFlat) {
        scale = (group.sum_w * sums.wxq - group.sum_wx * sums.wq) / determinant;
        min = (sums.wqq * group.sum_wx - sums.wq * sums.wxq) / determinant;
    }
    if (determinant <= kFlat || (is_min_negative && min > 0)) {
        if (sums.wqq <= kFlat) return fit;
        min = 0;
        scale = sums.wxq / sums.wqq;
    }
    if (scale <= 0) return fit;
    return {scale, min, group.sum_wxx - scale * sums.wxq - min * group.sum_wx};
}

}  // namespace

bool SearchBlock::prepare(const float* src, const float* importance, int n) {
    float largest = 0, most = 0;
    for (int i = 0; i < n; i++) {
        float v = src[i] == src[i] ? src[i] : 0.0f;
        v = v > kLargest ? kLargest : v;
        v = v < -kLargest ? -kLargest : v;
        x[i] = v;
        largest = largest > std::fabs(v) ? largest : std::fabs(v);
    }
    for (int i = 0; i < n; i++) {
        const float v = importance ? importance[i] : 1.0f;
        w[i] = v > 0 && v <= std::numeric_limits<float>::max() ? v : 0.0f;
        most = most > w[i] ? most : w[i];
    }
    if (largest < kSmallest) return false;
    // The next power of two; its reciprocal is exact.
    unit = std::bit_cast<float>((std::bit_cast<uint32_t>(largest) & 0x7f800000u) + 0x00800000u);
    const float inverse_unit = 1.0f / unit;
    for (int i = 0; i < n; i++) {
        x[i] *= inverse_unit;
        // Divided, not multiplied by a reciprocal: that of a subnormal is infinite.
        if (importance) w[i] = most > 0 ? w[i] / most : 1.0f;
    }
    return true;
}

float SearchBlock::round_to_half(float scale, uint16_t* half) const {
    float value = scale == scale ? scale * unit : 0.0f;
    value = value > 65504.0f ? 65504.0f : value;
    value = value < -65504.0f ? -65504.0f : value;
    *half = float_to_half(value);
    return half_to_float(*half) / unit;
}

Group make_group(const float* x, const float* w, int n) {
    Float4 sum_w{}, sum_wx{}, sum_wxx{};
    for (int i = 0; i < n; i += 4) {
        const Float4 value = load4(x + i), weight = load4(w + i);
        sum_w += weight;
        sum_wx += weight * value;
        sum_wxx += weight * value * value;
    }
    return {x, w, n, sum4(sum_w), sum4(sum_wx), sum4(sum_wxx)};
}

Rounding round_group(const Group& group, float scale, float min, float low, float high, int8_t* levels) {
    Float4 error{}, wq{}, wqq{}, wxq{};
    const Float4 inverse4 = all4(scale != 0 ? 1.0f / scale : 0.0f);
    const Float4 scale4 = all4(scale), min4 = all4(min), low4 = all4(low), high4 = all4(high);
    for (int i = 0; i < group.n; i += 4) {
        const Float4 x = load4(group.x + i), w = load4(group.w + i);
        const Float4 q = clamp4(round4((x - min4) * inverse4), low4, high4);
        const Float4 residual = x - scale4 * q - min4, weighted = w * q;
        error += w * residual * residual;
        wq += weighted;
        wqq += weighted * q;
        wxq += weighted * x;
        if (levels) {
            for (int j = 0; j < 4; j++) levels[i + j] = static_cast<int8_t>(q[j]);
        }
    }
    return {sum4(error), sum4(wq), sum4(wqq), sum4(wxq)};
}

AffineFit search_affine(const Group& group, float high, bool is_min_negative) {
    float smallest = group.x[0], largest = group.x[0];
    for (int i = 1; i < group.n; i++) {
        smallest = smallest < group.x[i] ? smallest : group.x[i];
        largest = largest > group.x[i] ? largest : group.x[i];
    }
    if (is_min_negative && smallest > 0) smallest = 0;
    AffineFit best{.scale = 0, .min = smallest, .error = group.sum_wxx};
    const float range = largest - smallest;
    if (range <= kFlat) return best;
    best.scale = range / high;
    best.error = round_group(group, best.scale, best.min, 0, high).error;
    // Guesses that spread the range over slightly fewer or more levels than there are; more of them clips the extremes.
    for (int k = -8; k < 8; k++) {
        const float inverse = (high + 0.2f * static_cast<float>(k)) / range;
        const AffineFit fit = fit_affine(group, sum_levels(group, inverse, smallest, 0, high), is_min_negative);
        if (fit.error < best.error) best = fit;
    }
    for (int k = 0; k < kMaxRefinements; k++) {
        const AffineFit fit = fit_affine(group, sum_levels(group, 1.0f / best.scale, best.min, 0, high), is_min_negative);
        if (!(fit.error < best.error)) break;
        best = fit;
    }
    return best;
}

LinearFit search_linear(const Group& group, float low, float high) {
    float extreme = group.x[0];
    for (int i = 1; i < group.n; i++) extreme = std::fabs(group.x[i]) > std::fabs(extreme) ? group.x[i] : extreme;
    LinearFit best{.scale = 0, .error = group.sum_wxx};
    if (std::fabs(extreme) <= kFlat) return best;
    const auto consider = [&](float inverse) {
        const Sums sums = sum_levels(group, inverse, 0, low, high);
        if (sums.wqq <= kFlat) return false;
        const float scale = sums.wxq / sums.wqq, error = group.sum_wxx - scale * sums.wxq;
        if (!(error < best.error) || scale == 0) return false;
        best = {scale, error};
        return true;
    };
    // The extreme element near the lowest level, or, with the other sign of scale, near the highest.
    for (int k = -10; k <= 10; k++) {
        const float shift = 0.1f * static_cast<float>(k);
        consider((low + shift) / extreme);
        consider((high + shift) / extreme);
    }
    for (int k = 0; k < kMaxRefinements && best.scale != 0; k++) {
        if (!consider(1.0f / best.scale)) break;
    }
    return best;
}

}  // namespace ponder
