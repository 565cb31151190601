// SPDX-License-Identifier: Apache-2.0
// How each stored block format gives up its codes and scales, over the Vector of the including file. The layouts are drawn in lib/quant.
//
// A Block covers kStepBytes of a row: kSteps steps of 64 codes. Its members:
//   codes<k>()             the 64 codes of step k
//   kShift                 codes stand for themselves less 2^kShift; 0: for themselves; kSigned: they are signed bytes
//   kLargest               no code is larger in magnitude
//   scales_for(x, b)       the step scales times those of the activations' block b; spread<k>() gives step k's lanes
//   take_minimums(x, b, m) adds what the format subtracts and, if kTakesShift, what unsigned codes are too large by
//   kGroup                 columns that share a scale and, if kHasMinimums, a minimum
//   store_scales<d>(s, m)  scales and minimums of the block's groups, d floats apart
constexpr int kSigned = 7;

alignas(16) constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
alignas(16) constexpr int8_t kE2m1Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Asks for the n_bytes at p + ahead, which need not be there. locality 3: in the first-level cache, 2: in the second.
template <int n_bytes, int locality = 3>
inline __attribute__((always_inline)) void prefetch(const uint8_t* p, int64_t ahead) {
    for (int i = 0; i < n_bytes; i += 64)
        __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(p) + ahead + i), 0, locality);
}

struct RoundedRow {
    RoundedRow() = default;
    RoundedRow(const std::byte* row, const RoundedLayout& at)
        : codes(reinterpret_cast<const int8_t*>(row)),
          neg_sums(reinterpret_cast<const int32_t*>(row + at.neg_sums)),
          scales32(reinterpret_cast<const float*>(row + at.scales32)),
          scales16(reinterpret_cast<const float*>(row + at.scales16)),
          sums32(reinterpret_cast<const float*>(row + at.sums32)),
          sums16(reinterpret_cast<const float*>(row + at.sums16)) {}
    // The same row from element n on, a multiple of 64.
    RoundedRow from(int64_t n) const {
        RoundedRow x = *this;
        x.codes += n, x.neg_sums += n / 4, x.scales32 += n / 32, x.scales16 += n / 16, x.sums32 += n / 32, x.sums16 += n / 16;
        return x;
    }
    const int8_t* codes;
    const int32_t* neg_sums;
    const float *scales32, *scales16, *sums32, *sums16;
};

// Bytes below 64 less 32, as signed bytes.
inline uint64_t less_32(uint64_t x) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    return ((x | 0x80 * kOnes) - 0x20 * kOnes) ^ 0x80 * kOnes;
}

// Eight nibbles, each to a byte.
inline uint64_t nibbles_to_bytes(uint32_t nibbles) {
    uint64_t x = nibbles;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    return (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
}

struct NoMinimums {
    static constexpr bool kHasMinimums = false;
    struct Minimums {};
    static Minimums no_minimums() { return {}; }
    static void take_minimums(const RoundedRow&, int64_t, Minimums&) {}
    static float total(Minimums) { return 0.0f; }
};

// Eight groups of 32 in 256 elements.
struct EightGroups {
    using Scales = Vector::Floats8;
    static constexpr bool kTakesShift = false;
    static constexpr int kGroup = 32, kSteps = 4, kStepLength = 256;
    Scales scales_for(const RoundedRow& x, int64_t b) const { return Vector::multiply8(scales, Vector::load_floats8(x.scales32 + 8 * b)); }
    template <int k>
    static Vector::Floats spread(Scales s) {
        return Vector::spread2<k>(s);
    }
    template <int64_t d>
    static void store(float* dst, Vector::Floats8 values) {
        float lanes[8];
        Vector::store8(lanes, values);
        for (int g = 0; g < 8; g++) dst[g * d] = lanes[g];
    }
    Vector::Floats8 scales;
};

struct EightGroupsWithMinimums : EightGroups {
    using Minimums = Vector::Floats8;
    static constexpr bool kHasMinimums = true;
    static constexpr int kShift = 0;
    static Minimums no_minimums() { return Vector::zero8(); }
    void take_minimums(const RoundedRow& x, int64_t b, Minimums& m) const {
        m = Vector::fma8(mins, Vector::load_floats8(x.sums32 + 8 * b), m);
    }
    static float total(Minimums m) { return Vector::sum8(m); }
    template <int64_t d>
    void store_scales(float* s, float* m) const {
        store<d>(s, scales);
        store<d>(m, mins);
    }
    Vector::Floats8 mins;
};

struct EightSignedGroups : EightGroups, NoMinimums {
    static constexpr int kShift = kSigned;
    template <int64_t d>
    void store_scales(float* s, float*) const {
        store<d>(s, scales);
    }
};

// Scales and minimums packed as in Q4_K and Q5_K.
struct PackedGroups : EightGroupsWithMinimums {
    explicit PackedGroups(const uint8_t* p) { Vector::load_groups(p, scales, mins); }
};

struct BlockQ4K : PackedGroups {
    static constexpr int kType = 12, kLargest = 15, kStepBytes = 144;
    explicit BlockQ4K(const uint8_t* p) : PackedGroups(p), low(p + 16) {}
    template <int k>
    Vector::Bytes codes() const {
        return Vector::mask(Vector::shift_right<0, 0, 4, 4>(Vector::twice(low + 32 * k)), 15);
    }
    const uint8_t* low;
};

struct BlockQ5K : PackedGroups {
    static constexpr int kType = 13, kLargest = 31, kStepBytes = 176;
    explicit BlockQ5K(const uint8_t* p) : PackedGroups(p), low(p + 48), high(Vector::twice(p + 16)) {}
    template <int k>
    Vector::Bytes codes() const {
        const Vector::Bytes fifth = Vector::shift_left<4>(Vector::mask(Vector::shift_right<2 * k, 2 * k, 2 * k + 1, 2 * k + 1>(high), 1));
        return Vector::join(Vector::mask(Vector::shift_right<0, 0, 4, 4>(Vector::twice(low + 32 * k)), 15), fifth);
    }
    const uint8_t* low;
    Vector::Bytes high;
};

// Sixteen groups of 16 in 256 elements.
struct SixteenGroups {
    using Scales = Vector::Floats;
    static constexpr bool kTakesShift = true;
    static constexpr int kSteps = 4, kStepLength = 256;
    Scales scales_for(const RoundedRow& x, int64_t b) const { return Vector::multiply(scales, Vector::load_floats(x.scales16 + 16 * b)); }
    template <int k>
    static Vector::Floats spread(Scales s) {
        return Vector::spread4<k>(s);
    }
    static constexpr int kGroup = 16;
    template <int64_t d>
    static void store(float* dst, Vector::Floats values) {
        float lanes[16];
        Vector::store(lanes, values);
        for (int g = 0; g < 16; g++) dst[g * d] = lanes[g];
    }
    Vector::Floats scales;
};

// The same without minimums, of codes less 2^shift.
template <int shift>
struct SixteenShiftedGroups : SixteenGroups {
    using Minimums = Vector::Floats;
    static constexpr bool kHasMinimums = false;
    static constexpr int kShift = shift;
    template <int64_t d>
    void store_scales(float* s, float*) const {
        store<d>(s, scales);
    }
    static Minimums no_minimums() { return Vector::zero(); }
    void take_minimums(const RoundedRow& x, int64_t b, Minimums& m) const {
        m = Vector::fma(Vector::multiply(scales, Vector::set(1 << shift)), Vector::load_floats(x.sums16 + 16 * b), m);
    }
    static float total(Minimums m) { return Vector::sum(m); }
};

struct BlockQ6K : SixteenShiftedGroups<5> {
    static constexpr int kType = 14, kLargest = 63, kStepBytes = 210;
    explicit BlockQ6K(const uint8_t* block) : p(block) {
        scales = Vector::multiply(Vector::widen_i8x16(reinterpret_cast<const int8_t*>(p + 192)), Vector::set(half_at(p + 208)));
    }
    template <int k>
    Vector::Bytes codes() const {
        constexpr int n = 4 * (k % 2);
        const Vector::Bytes low = Vector::mask(Vector::shift_right<n, n, n, n>(Vector::load(p + 64 * (k / 2))), 15);
        const Vector::Bytes high = Vector::mask(Vector::shift_right<n, n, n + 2, n + 2>(Vector::twice(p + 128 + 32 * (k / 2))), 3);
        return Vector::join(low, Vector::shift_left<4>(high));
    }
    const uint8_t* p;
};

struct BlockQ3K : SixteenShiftedGroups<2> {
    static constexpr int kType = 11, kLargest = 7, kStepBytes = 110;
    explicit BlockQ3K(const uint8_t* block) : p(block), high(Vector::twice(p)) {
        const uint32_t a = copy<uint32_t>(p + 96), b = copy<uint32_t>(p + 100), c = copy<uint32_t>(p + 104);
        constexpr uint32_t kNibbles = 0x0f0f0f0f, kPairs = 0x03030303;
        const uint64_t first = ((a & kNibbles) | (c & kPairs) << 4) | uint64_t{(b & kNibbles) | (c >> 2 & kPairs) << 4} << 32;
        const uint64_t last = ((a >> 4 & kNibbles) | (c >> 4 & kPairs) << 4) | uint64_t{(b >> 4 & kNibbles) | (c >> 6 & kPairs) << 4} << 32;
        scales = Vector::multiply(Vector::widen_i8x16(less_32(first), less_32(last)), Vector::set(half_at(p + 108)));
    }
    template <int k>
    Vector::Bytes codes() const {
        constexpr int n = 4 * (k % 2);
        const Vector::Bytes low = Vector::mask(Vector::shift_right<n, n, n + 2, n + 2>(Vector::twice(p + 32 + 32 * (k / 2))), 3);
        const Vector::Bytes third = Vector::mask(Vector::shift_right<2 * k, 2 * k, 2 * k + 1, 2 * k + 1>(high), 1);
        return Vector::join(low, Vector::shift_left<2>(third));
    }
    const uint8_t* p;
    Vector::Bytes high;
};

struct SixteenGroupsWithMinimums : SixteenGroups {
    using Minimums = Vector::Floats;
    static constexpr bool kHasMinimums = true;
    static constexpr int kShift = 0;
    template <int64_t d>
    void store_scales(float* s, float* m) const {
        store<d>(s, scales);
        store<d>(m, mins);
    }
    static Minimums no_minimums() { return Vector::zero(); }
    void take_minimums(const RoundedRow& x, int64_t b, Minimums& m) const {
        m = Vector::fma(mins, Vector::load_floats(x.sums16 + 16 * b), m);
    }
    static float total(Minimums m) { return Vector::sum(m); }
    Vector::Floats mins;
};

struct BlockQ2K : SixteenGroupsWithMinimums {
    static constexpr int kType = 10, kLargest = 3, kStepBytes = 84;
    explicit BlockQ2K(const uint8_t* block) : p(block) {
        uint8_t low[16], high[16];
        for (int i = 0; i < 16; i++) {
            low[i] = p[i] & 15;
            high[i] = static_cast<uint8_t>(p[i] >> 4);
        }
        scales = Vector::multiply(Vector::widen_u8x16(low), Vector::set(half_at(p + 80)));
        mins = Vector::multiply(Vector::widen_u8x16(high), Vector::set(half_at(p + 82)));
    }
    template <int k>
    Vector::Bytes codes() const {
        constexpr int n = 4 * (k % 2);
        return Vector::mask(Vector::shift_right<n, n, n + 2, n + 2>(Vector::twice(p + 16 + 32 * (k / 2))), 3);
    }
    const uint8_t* p;
};

struct BlockIq4Xs : EightSignedGroups {
    static constexpr int kType = 23, kLargest = 127, kStepBytes = 136;
    explicit BlockIq4Xs(const uint8_t* block) : p(block) {
        uint64_t high = copy<uint16_t>(p + 2);  // a bit pair a group: to bytes
        high = (high | high << 24) & 0x000000ff000000ff, high = (high | high << 12) & 0x000f000f000f000f,
        high = (high | high << 6) & 0x0303030303030303;
        scales = Vector::scale8(Vector::widen_i8x8(less_32(nibbles_to_bytes(copy<uint32_t>(p + 4)) | high << 4)), half_at(p));
    }
    template <int k>
    Vector::Bytes codes() const {
        const uint8_t* at = p + 8 + 32 * k;
        return Vector::look_up(kIq4Levels, Vector::mask(Vector::shift_right<0, 4, 0, 4>(Vector::quarters(at, at + 16)), 15));
    }
    const uint8_t* p;
};

// Two blocks of 32 elements of `bytes` bytes, whose half-precision scale comes first.
template <int bytes>
struct TwoBlocks {
    using Scales = Vector::Floats;
    static constexpr bool kTakesShift = false;
    static constexpr int kSteps = 1, kStepLength = 64, kStepBytes = 2 * bytes, kGroup = 32;
    template <int64_t d>
    void store_scales(float* s, float*) const {
        s[0] = half_at(p);
        s[d] = half_at(q);
    }
    explicit TwoBlocks(const uint8_t* first) : p(first), q(first + bytes) {}
    Scales scales_for(const RoundedRow& x, int64_t b) const {
        return Vector::multiply(Vector::spread_halves(p, q), Vector::spread2(x.scales32 + 2 * b));
    }
    template <int>
    static Vector::Floats spread(Scales s) {
        return s;
    }
    // Nibbles from `offset` on.
    Vector::Bytes nibbles(int offset) const {
        return Vector::mask(Vector::shift_right<0, 4, 0, 4>(Vector::quarters(p + offset, q + offset)), 15);
    }
    // 16 where the bit of the 32 at `offset` is set.
    Vector::Bytes fifths(int offset) const {
        return Vector::bits(copy<uint32_t>(p + offset) | uint64_t{copy<uint32_t>(q + offset)} << 32, 16);
    }
    const uint8_t *p, *q;
};

// The same with a minimum, added, as a second half.
template <int bytes>
struct TwoBlocksWithMinimum : TwoBlocks<bytes> {
    using TwoBlocks<bytes>::TwoBlocks;
    static constexpr bool kHasMinimums = true;
    template <int64_t d>
    void store_scales(float* s, float* m) const {
        s[0] = half_at(this->p);
        s[d] = half_at(this->q);
        m[0] = -half_at(this->p + 2);
        m[d] = -half_at(this->q + 2);
    }
    struct Minimums {
        float sum;
    };
    static Minimums no_minimums() { return {0.0f}; }
    void take_minimums(const RoundedRow& x, int64_t b, Minimums& m) const {
        m.sum -= half_at(this->p + 2) * x.sums32[2 * b] + half_at(this->q + 2) * x.sums32[2 * b + 1];
    }
    static float total(Minimums m) { return m.sum; }
    static constexpr int kShift = 0;
};

struct BlockQ80 : TwoBlocks<34>, NoMinimums {
    using TwoBlocks::TwoBlocks;
    static constexpr int kType = 8, kLargest = 128;
    template <int>
    Vector::Bytes codes() const {
        return Vector::pair(p + 2, q + 2);
    }
    static constexpr int kShift = kSigned;
};

struct BlockQ40 : TwoBlocks<18>, NoMinimums {
    using TwoBlocks::TwoBlocks;
    static constexpr int kType = 2, kLargest = 15;
    template <int>
    Vector::Bytes codes() const {
        return nibbles(2);
    }
    static constexpr int kShift = 3;
};

struct BlockQ41 : TwoBlocksWithMinimum<20> {
    using TwoBlocksWithMinimum::TwoBlocksWithMinimum;
    static constexpr int kType = 3, kLargest = 15;
    template <int>
    Vector::Bytes codes() const {
        return nibbles(4);
    }
};

struct BlockQ50 : TwoBlocks<22>, NoMinimums {
    using TwoBlocks::TwoBlocks;
    static constexpr int kType = 6, kLargest = 31;
    template <int>
    Vector::Bytes codes() const {
        return Vector::join(nibbles(6), fifths(2));
    }
    static constexpr int kShift = 4;
};

struct BlockQ51 : TwoBlocksWithMinimum<24> {
    using TwoBlocksWithMinimum::TwoBlocksWithMinimum;
    static constexpr int kType = 7, kLargest = 31;
    template <int>
    Vector::Bytes codes() const {
        return Vector::join(nibbles(8), fifths(4));
    }
};

struct BlockIq4Nl : TwoBlocks<18>, NoMinimums {
    using TwoBlocks::TwoBlocks;
    static constexpr int kType = 20, kLargest = 127;
    template <int>
    Vector::Bytes codes() const {
        return Vector::look_up(kIq4Levels, nibbles(2));
    }
    static constexpr int kShift = kSigned;
};

struct BlockMxfp4 : TwoBlocks<17>, NoMinimums {
    using TwoBlocks::TwoBlocks;
    static constexpr int kType = 39, kLargest = 12;
    // The levels are doubled, so the scale is half of 2^(e - 127): subnormal below e = 2.
    template <int64_t d>
    void store_scales(float* s, float*) const {
        s[0] = half_scale(*p);
        s[d] = half_scale(*q);
    }
    static float half_scale(uint8_t e) { return from_bits<float>(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23); }
    Scales scales_for(const RoundedRow& x, int64_t b) const {
        const float two[] = {half_scale(*p) * x.scales32[2 * b], half_scale(*q) * x.scales32[2 * b + 1]};
        return Vector::spread2(two);
    }
    template <int>
    Vector::Bytes codes() const {
        return Vector::look_up(kE2m1Doubled, nibbles(1));
    }
    static constexpr int kShift = kSigned;
};
