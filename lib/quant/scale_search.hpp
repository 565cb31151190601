// SPDX-License-Identifier: Apache-2.0
// Finds the scale, or scale and minimum, with which a group of weights loses least when its elements are rounded to few levels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ponder {

inline constexpr int kMaxBlockLen = 256;
inline constexpr float kFlat = 1e-20f;     // in units of a search: a range or a sum that counts as none
inline constexpr int kMaxRefinements = 4;  // rounding and refitting in turn converges sooner than this

// A block made fit for searching: finite, and scaled by a power of two into [-1, 1], so that no sum can overflow or vanish.
struct SearchBlock {
    alignas(16) float x[kMaxBlockLen];  // [n]
    alignas(16) float w[kMaxBlockLen];  // [n] weight of each element's squared error, in [0, 1]
    float unit;                         // source value = x * unit

    // importance [n] may be null. False if every element is zero or too small for any format: the block is all zeros.
    bool prepare(const float* src, const float* importance, int n);

    // Rounds a scale of x to the half that is stored for it (saturating), and gives back what that half means as a scale of x.
    float round_to_half(float scale, uint16_t* half) const;
};

// Elements, their weights and the sums that do not depend on the rounding.
struct Group {
    const float* x;  // [n], 16-byte steps
    const float* w;  // [n]
    int n;           // a multiple of 4
    float sum_w, sum_wx, sum_wxx;
};
Group make_group(const float* x, const float* w, int n);

// What rounding a group to levels q does: weighted squared error, and the sums that a least-squares fit of scales needs.
struct Rounding {
    float error, sum_wq, sum_wqq, sum_wxq;
};

// Rounds x to scale * q + min with q in [low, high]. If levels is not null the chosen q are stored there [n].
Rounding round_group(const Group& group, float scale, float min, float low, float high, int8_t* levels = nullptr);

struct AffineFit {
    float scale = 0, min = 0, error = 0;  // x ~ scale * q + min
};

// q in [0, high]. With is_min_negative the minimum may not be above zero (K-quants store its magnitude).
AffineFit search_affine(const Group& group, float high, bool is_min_negative);

struct LinearFit {
    float scale = 0, error = 0;  // x ~ scale * q; the scale may be negative
};

// q in [low, high], low = -high - 1.
LinearFit search_linear(const Group& group, float low, float high);

}  // namespace ponder
