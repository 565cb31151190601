// SPDX-License-Identifier: Apache-2.0
// Rows of activations rounded to int8, 32 elements a scale, with the sums that formats with offsets and minimums need.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ponder::cpu {

inline constexpr int64_t kRoundedStep = 64;  // kernels take this many elements at a time

// Where the parts of one rounded row of n elements lie, in bytes from its start; each starts at a multiple of 64. The row is padded with
// zeros.
//   codes     i8  [n_padded]        value = scale * code, code in [-127, 127]
//   woven32, woven16  i8 [n_padded] the same codes in the orders of kernels_woven.hpp
//   neg_sums  i32 [n_padded / 4]    minus the sum of four neighbouring codes
//   neg_sums32, neg_sums16   the same of 32 and of 16 codes
//   scales32  f32 [n_padded / 32]
//   scales16  f32 [n_padded / 16]   each scale twice
//   sums32    f32 [n_padded / 32]   scale times the sum of 32 codes
//   sums16    f32 [n_padded / 16]   the same of 16
//   pairs32   f32 [n_padded / 32]   scales in the order of woven16; see kernels_woven.hpp
struct RoundedLayout {
    explicit constexpr RoundedLayout(int64_t n)
        : n_padded((n + 255) / 256 * 256),
          woven32(n_padded),
          woven16(2 * n_padded),
          neg_sums(3 * n_padded),
          neg_sums32(neg_sums + n_padded),
          neg_sums16(neg_sums32 + round_up(n_padded / 8)),
          scales32(neg_sums16 + round_up(n_padded / 4)),
          scales16(scales32 + round_up(n_padded / 8)),
          sums32(scales16 + round_up(n_padded / 4)),
          sums16(sums32 + round_up(n_padded / 8)),
          pairs32(sums16 + round_up(n_padded / 4)),
          n_bytes((pairs32 + n_padded / 8 + 1023) / 1024 * 1024 + 512) {}

    int64_t n_padded;
    int64_t woven32, woven16, neg_sums, neg_sums32, neg_sums16, scales32, scales16, sums32, sums16, pairs32;
    // An odd multiple of 512: the same parts of eight rows fall into different sets of a first-level cache.
    int64_t n_bytes;

  private:
    static constexpr int64_t round_up(int64_t n) { return (n + 63) / 64 * 64; }
};

}  // namespace ponder::cpu
