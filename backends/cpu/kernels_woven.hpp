// SPDX-License-Identifier: Apache-2.0
// Dot products of Q4_0, Q4_1, Q4_K, Q5_K and Q6_K on x86.
//
// Codes are taken in another order than they are stored in, in which a lane is of one group throughout a block of 256: its products are
// added as whole numbers and take their scale once. RoundedLayout has the activations' codes in the same orders.
//   woven32, eight groups of 32: for k < 4, codes 8k to 8k + 7 of the even groups 0 2 4 6, then of the odd ones 1 3 5 7
//   woven16, sixteen groups of 16: for p < 2, v < 2, h = 0 and 4, in the groups a = 2p + h and a + 1: codes 8v to 8v + 3 of a and of a + 8,
//            codes 8v + 4 to 8v + 7 of both; the same of a + 1 and a + 9
//   pairs32, their scales times kPairFactor: for g < 4, those of the groups of 32 g and g + 4
//
// A Woven<Block> is made of 256 codes at p:
//   codes            [8] in the order of woven32
//   scales, mins     [8]; a minimum is subtracted
template <class Block>
struct Woven {
    static constexpr bool kExists = false;
};

using Bytes32 = __m256i;

// Q6_K takes 32 times each sum of a group away from its products: its scales have that factor, and the activations' the opposite.
constexpr float kPairFactor = -1.0f / (1 << BlockQ6K::kShift);

template <class Block>
constexpr int kWovenBytes = Block::kStepBytes*(256 / Block::kStepLength);

// woven[k]: bytes 8k to 8k + 7 of four times 32, which are `stride` bytes apart.
inline __attribute__((always_inline)) void weave(const void* from, int64_t stride, Bytes32 (&woven)[4]) {
    const auto* p = static_cast<const uint8_t*>(from);
    const auto first_and_third = [stride](const uint8_t* q) __attribute__((always_inline)) {
        return _mm256_inserti128_si256(_mm256_castsi128_si256(Vector::load16(q)), Vector::load16(q + 2 * stride), 1);
    };
    for (int half = 0; half < 2; half++) {
        const Bytes32 even = first_and_third(p + 16 * half), odd = first_and_third(p + 16 * half + stride);
        woven[2 * half] = _mm256_unpacklo_epi64(even, odd), woven[2 * half + 1] = _mm256_unpackhi_epi64(even, odd);
    }
}

// 256 codes of a rounded row.
inline void weave16(const int8_t* codes, int8_t* dst) {
    for (int p = 0; p < 2; p++) {
        for (int h = 0; h < 2; h++) {
            const int8_t* from = codes + 32 * p + 64 * h;
            const Bytes32 a = Vector::load32(from), b = Vector::load32(from + 128);
            auto* to = reinterpret_cast<Bytes32*>(dst + 128 * p + 32 * h);
            _mm256_storeu_si256(to, _mm256_unpacklo_epi32(a, b));
            _mm256_storeu_si256(to + 2, _mm256_unpackhi_epi32(a, b));
        }
    }
}

inline void weave32(const int8_t* codes, int8_t* dst) {
    for (int is_odd = 0; is_odd < 2; is_odd++) {
        const int8_t* p = codes + 32 * is_odd;
        Bytes32 woven[4];
        weave(p, 64, woven);
        for (int k = 0; k < 4; k++) _mm256_storeu_si256(reinterpret_cast<Bytes32*>(dst + 64 * k + 32 * is_odd), woven[k]);
    }
}

inline Vector::Floats8 load_floats(const std::byte* p) { return Vector::load_floats8(reinterpret_cast<const float*>(p)); }
// The two floats at p, four times.
inline Vector::Floats8 twos(const std::byte* p) { return _mm256_castpd_ps(_mm256_set1_pd(copy<double>(p))); }

inline Bytes32 low_nibbles(Bytes32 x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
inline Bytes32 high_nibbles(Bytes32 x) { return low_nibbles(_mm256_srli_epi16(x, 4)); }
// 16 where bit `bit` of a byte is set.
template <int bit>
inline Bytes32 fifth_of(Bytes32 x) {
    return _mm256_and_si256(bit < 4 ? _mm256_slli_epi16(x, 4 - bit) : _mm256_srli_epi16(x, bit - 4), _mm256_set1_epi8(16));
}

struct WovenGroups {
    static constexpr bool kExists = true;
    Bytes32 codes[8];
    Vector::Floats8 scales, mins;
};

// The head of Q4_K and Q5_K: groups 2c and 2c + 1 are the low and the high nibbles of 32 bytes.
struct WovenKGroups : WovenGroups {
    WovenKGroups(const uint8_t* head, const uint8_t* nibbles) {
        Vector::load_groups(head, scales, mins);
        weave(nibbles, 32, bytes);
    }
    Bytes32 bytes[4];
};

template <>
struct Woven<BlockQ4K> : WovenKGroups {
    explicit Woven(const uint8_t* p) : WovenKGroups(p, p + 16) {
        for (int k = 0; k < 4; k++) {
            codes[2 * k] = low_nibbles(bytes[k]);
            // Where sums have room for it, high nibbles stay where they are: 16 times as large.
            codes[2 * k + 1] = Vector::kSumsAreWide ? _mm256_and_si256(bytes[k], _mm256_set1_epi8(-16)) : high_nibbles(bytes[k]);
        }
        constexpr float kOdd = 1.0f / 16.0f;
        if (Vector::kSumsAreWide) scales = _mm256_mul_ps(scales, _mm256_setr_ps(1.0f, kOdd, 1.0f, kOdd, 1.0f, kOdd, 1.0f, kOdd));
    }
};

template <>
struct Woven<BlockQ5K> : WovenKGroups {
    explicit Woven(const uint8_t* p) : WovenKGroups(p, p + 48) {
        for (int k = 0; k < 4; k++) {
            // Bits 2c and 2c + 1 of a byte belong to the groups of nibble bytes c: to bits 0 and 1.
            const Bytes32 fifths = _mm256_srlv_epi64(_mm256_set1_epi64x(copy<int64_t>(p + 16 + 8 * k)), _mm256_set_epi64x(6, 4, 2, 0));
            codes[2 * k] = _mm256_or_si256(low_nibbles(bytes[k]), fifth_of<0>(fifths));
            codes[2 * k + 1] = _mm256_or_si256(high_nibbles(bytes[k]), fifth_of<1>(fifths));
        }
    }
};

// Q4_0 and Q4_1: a group has its own block, whose 16 nibble bytes have codes 0 to 15 below and 16 to 31 above.
template <int n_bytes, int first>
struct WovenBlocks : WovenGroups {
    explicit WovenBlocks(const uint8_t* p) {
        const auto four = [&](int block) {
            const uint8_t* q = p + block * n_bytes + first;
            return _mm256_inserti128_si256(_mm256_castsi128_si256(Vector::load16(q)), Vector::load16(q + 4 * n_bytes), 1);
        };
        for (int odd = 0; odd < 2; odd++) {
            const Bytes32 a = four(odd), b = four(odd + 2), front = _mm256_unpacklo_epi64(a, b), back = _mm256_unpackhi_epi64(a, b);
            codes[odd] = low_nibbles(front), codes[2 + odd] = low_nibbles(back);
            codes[4 + odd] = high_nibbles(front), codes[6 + odd] = high_nibbles(back);
        }
        scales = halves(p);
    }
    // The halves of eight blocks.
    static Vector::Floats8 halves(const uint8_t* p) {
        const auto half = [&](int block) { return copy<int16_t>(p + block * n_bytes); };
        return _mm256_cvtph_ps(_mm_set_epi16(half(7), half(6), half(5), half(4), half(3), half(2), half(1), half(0)));
    }
};

template <>
struct Woven<BlockQ40> : WovenBlocks<18, 2> {
    explicit Woven(const uint8_t* p) : WovenBlocks(p) { mins = Vector::scale8(scales, 8.0f); }
};

template <>
struct Woven<BlockQ41> : WovenBlocks<20, 4> {
    explicit Woven(const uint8_t* p) : WovenBlocks(p) { mins = Vector::scale8(halves(p + 2), -1.0f); }
};

// Sums that follow one another wait for each other: where registers are left, the second ones are kept apart.
struct WovenSums {
    Vector::Floats8& second() { return Vector::kSumsApart ? apart : first; }
    float total() const { return Vector::sum8(Vector::kSumsApart ? _mm256_add_ps(first, apart) : first); }
    Vector::Floats8 first = Vector::zero8(), apart = Vector::zero8();
};

// Adds to `totals` what blocks [begin, end) of 256 elements of one weight row give with N rounded rows.
template <class Block, bool in_pieces, int N>
inline __attribute__((always_inline)) void add_woven32(const uint8_t* row, int64_t begin, int64_t end, int64_t row_bytes, uintptr_t& later,
                                                       const std::byte* const (&x)[N], const RoundedLayout& at, WovenSums (&totals)[N]) {
    WovenSums sums[N];
    for (int i = 0; i < N; i++) sums[i] = totals[i];
    for (int64_t b = begin; b < end; b++) {
        const uint8_t* p = row + b * kWovenBytes<Block>;
        fetch<kWovenBytes<Block>, in_pieces>(p, row_bytes, later);
        const Woven<Block> block(p);
        unrolled<N>([&]<int i>() __attribute__((always_inline)) {
            const auto* codes = reinterpret_cast<const int8_t*>(x[i] + (at.woven32 + 256 * b));
            Bytes32 even = _mm256_setzero_si256(), odd = even;
            unrolled<4>([&]<int k>() __attribute__((always_inline)) {
                even = Vector::add_products(even, block.codes[2 * k], Vector::load32(codes + 64 * k));
                odd = Vector::add_products(odd, block.codes[2 * k + 1], Vector::load32(codes + 64 * k + 32));
            });
            const Vector::Floats8 scales = Vector::multiply8(block.scales, load_floats(x[i] + (at.scales32 + 32 * b)));
            Vector::Floats8 &first = sums[i].first, &second = sums[i].second();
            second = _mm256_fnmadd_ps(block.mins, load_floats(x[i] + (at.sums32 + 32 * b)), second);
            first = Vector::fma8(Vector::widen_sums(even), _mm256_moveldup_ps(scales), first);
            second = Vector::fma8(Vector::widen_sums(odd), _mm256_movehdup_ps(scales), second);
        });
    }
    for (int i = 0; i < N; i++) totals[i] = sums[i];
}

// Codes 0 to 63 of sixteen groups, four bits and two bits apart.
template <>
struct Woven<BlockQ6K> {
    static constexpr bool kExists = true;
    explicit Woven(const uint8_t* block) : p(block) {
        const __m256 half = Vector::scale8(_mm256_cvtph_ps(_mm_set1_epi16(copy<int16_t>(p + 208))), 1.0f / kPairFactor);
        for (int i = 0; i < 2; i++) offsets[i] = Vector::multiply8(Vector::widen_i8x8(copy<uint64_t>(p + 192 + 8 * i)), half);
        const __m256d two[] = {_mm256_castps_pd(_mm256_unpacklo_ps(offsets[0], offsets[1])),
                               _mm256_castps_pd(_mm256_unpackhi_ps(offsets[0], offsets[1]))};
        for (int pair = 0; pair < 2; pair++) {
            scales[pair][0] = _mm256_castpd_ps(_mm256_permute4x64_pd(two[pair], 0x50));
            scales[pair][1] = _mm256_castpd_ps(_mm256_permute4x64_pd(two[pair], 0xfa));
        }
        const Bytes32 a = Vector::load32(p + 128), b = Vector::load32(p + 160);
        high[0] = _mm256_unpacklo_epi32(a, b), high[1] = _mm256_unpackhi_epi32(a, b);
    }
    // The codes of groups 2p, 2p + 1 and eight more, and of the groups four more than those.
    template <int pair, int v>
    void codes(Bytes32& first, Bytes32& fifth) const {
        const Bytes32 a = Vector::load32(p + 32 * pair), b = Vector::load32(p + 64 + 32 * pair),
                      bytes = v == 0 ? _mm256_unpacklo_epi32(a, b) : _mm256_unpackhi_epi32(a, b), two = _mm256_set1_epi8(0x30);
        first = _mm256_or_si256(low_nibbles(bytes), _mm256_and_si256(_mm256_slli_epi16(high[v], 4 - 2 * pair), two));
        fifth = _mm256_or_si256(high_nibbles(bytes), _mm256_and_si256(pair == 0 ? high[v] : _mm256_srli_epi16(high[v], 2), two));
    }
    const uint8_t* p;
    // 1 / kPairFactor times as large: of each group, and of each lane of the first and of the fifth of two groups' codes.
    Vector::Floats8 offsets[2], scales[2][2];
    Bytes32 high[2];
};

// The same of sixteen groups.
template <bool in_pieces, int N>
inline __attribute__((always_inline)) void add_woven16(const uint8_t* row, int64_t begin, int64_t end, int64_t row_bytes, uintptr_t& later,
                                                       const std::byte* const (&x)[N], const RoundedLayout& at, WovenSums (&totals)[N]) {
    WovenSums sums[N];
    for (int i = 0; i < N; i++) sums[i] = totals[i];
    for (int64_t b = begin; b < end; b++) {
        const uint8_t* p = row + b * kWovenBytes<BlockQ6K>;
        fetch<kWovenBytes<BlockQ6K>, in_pieces>(p, row_bytes, later);
        const Woven<BlockQ6K> block(p);
        unrolled<N>([&]<int i>() __attribute__((always_inline)) {
            const std::byte* own_sums = x[i] + (at.sums16 + 64 * b);
            Vector::Floats8 &one = sums[i].first, &two = sums[i].second();
            one = Vector::fma8(block.offsets[0], load_floats(own_sums), one);
            two = Vector::fma8(block.offsets[1], load_floats(own_sums + 32), two);
        });
        unrolled<2>([&]<int pair>() __attribute__((always_inline)) {
            Bytes32 first[2], fifth[2];
            block.template codes<pair, 0>(first[0], fifth[0]);
            block.template codes<pair, 1>(first[1], fifth[1]);
            unrolled<N>([&]<int i>() __attribute__((always_inline)) {
                const auto* codes = reinterpret_cast<const int8_t*>(x[i] + (at.woven16 + 256 * b)) + 128 * pair;
                Bytes32 one = _mm256_setzero_si256(), other = one;
                for (int v = 0; v < 2; v++) {
                    one = Vector::add_products(one, first[v], Vector::load32(codes + 64 * v));
                    other = Vector::add_products(other, fifth[v], Vector::load32(codes + 64 * v + 32));
                }
                const std::byte* own = x[i] + (at.pairs32 + 32 * b) + 8 * pair;
                Vector::Floats8 &of_one = sums[i].first, &of_other = sums[i].second();
                of_one = Vector::fma8(Vector::widen_sums(one), Vector::multiply8(block.scales[pair][0], twos(own)), of_one);
                of_other = Vector::fma8(Vector::widen_sums(other), Vector::multiply8(block.scales[pair][1], twos(own + 16)), of_other);
            });
        });
    }
    for (int i = 0; i < N; i++) totals[i] = sums[i];
}

// What sums the products with N rounded rows.
template <int N>
struct SumsFor {
    using Type = WovenSums;
};

#ifdef PONDER_KERNELS_JOIN
#include "kernels_joined.hpp"
#endif

// All whole blocks of 256 of n_rows <= kRowsAtOnce weight rows times N rounded rows: results[r][i]. Many activation rows are taken in
// pieces that stay in the first-level cache while the weight rows pass.
template <class Block, bool in_pieces, int N>
inline __attribute__((always_inline)) void dot_woven(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_cols,
                                                     int64_t n_pieces, const std::byte* const (&x)[N], float (&results)[kRowsAtOnce][N]) {
    const RoundedLayout at(n_cols);
    uintptr_t later = reinterpret_cast<uintptr_t>(rows) + static_cast<uintptr_t>(kRowsAtOnce * row_bytes);
    using Sums = typename SumsFor<N>::Type;
    const auto add = [&](int64_t r, int64_t begin, int64_t end, Sums(&sums)[N]) __attribute__((always_inline)) {
        const auto* row = reinterpret_cast<const uint8_t*>(rows + r * row_bytes);
        if constexpr (Block::kGroup == 16)
            add_woven16<in_pieces, N>(row, begin, end, row_bytes, later, x, at, sums);
        else
            add_woven32<Block, in_pieces, N>(row, begin, end, row_bytes, later, x, at, sums);
    };
    const auto finish = [&](int64_t r, const Sums(&sums)[N]) __attribute__((always_inline)) {
        for (int i = 0; i < N; i++) results[r][i] = sums[i].total();
    };
    const int64_t n_blocks = n_cols / 256;
    // Adding the lanes of few sums is mostly waiting: those of all weight rows do it together.
    if constexpr (in_pieces || N <= 2) {
        Sums sums[kRowsAtOnce][N];
        by_pieces(
            n_blocks, in_pieces ? n_pieces : 1,
            n_rows, [&](int64_t r, int64_t begin, int64_t end) __attribute__((always_inline)) { add(r, begin, end, sums[r]); });
        for (int64_t r = 0; r < n_rows; r++) finish(r, sums[r]);
    } else {
        for (int64_t r = 0; r < n_rows; r++) {
            Sums sums[N];
            add(r, 0, n_blocks, sums);
            finish(r, sums);
        }
    }
}
