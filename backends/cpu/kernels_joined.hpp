// SPDX-License-Identifier: Apache-2.0
// Dot products of woven codes with several activation rows on AVX-512: two vectors of kernels_woven.hpp side by side, whose joining pays
// for itself from four rows on. Lanes 0 to 7 are WovenSums' first, the others those kept apart, each added in the same order.

struct JoinedSums {
    float total() const { return Vector::sum(lanes); }
    Vector::Floats lanes = Vector::zero();
};
template <>
struct SumsFor<4> {
    using Type = JoinedSums;
};
template <>
struct SumsFor<8> {
    using Type = JoinedSums;
};

inline __m512i joined(Bytes32 x, Bytes32 y) { return _mm512_inserti64x4(_mm512_castsi256_si512(x), y, 1); }
inline __m512 joined(__m256 x, __m256 y) { return _mm512_insertf32x8(_mm512_castps256_ps512(x), y, 1); }

template <class Block, bool in_pieces, int N>
inline __attribute__((always_inline)) void add_woven32(const uint8_t* row, int64_t begin, int64_t end, int64_t row_bytes, uintptr_t& later,
                                                       const std::byte* const (&x)[N], const RoundedLayout& at, JoinedSums (&totals)[N]) {
    const __m512i even_then_odd = _mm512_setr_epi32(0, 0, 2, 2, 4, 4, 6, 6, 1, 1, 3, 3, 5, 5, 7, 7);
    JoinedSums sums[N];
    for (int i = 0; i < N; i++) sums[i] = totals[i];
    for (int64_t b = begin; b < end; b++) {
        const uint8_t* p = row + b * kWovenBytes<Block>;
        fetch<kWovenBytes<Block>, in_pieces>(p, row_bytes, later);
        const Woven<Block> block(p);
        __m512i codes[4];
        for (int k = 0; k < 4; k++) codes[k] = joined(block.codes[2 * k], block.codes[2 * k + 1]);
        const __m512 mins = joined(Vector::zero8(), block.mins);
        unrolled<N>([&]<int i>() __attribute__((always_inline)) {
            const std::byte* own = x[i] + (at.woven32 + 256 * b);
            __m512i products = _mm512_setzero_si512();
            unrolled<4>([&]<int k>() __attribute__((always_inline)) {
                products = _mm512_dpbusd_epi32(products, codes[k], Vector::load(own + 64 * k));
            });
            const __m256 scales = Vector::multiply8(block.scales, load_floats(x[i] + (at.scales32 + 32 * b)));
            __m512& lanes = sums[i].lanes;
            lanes = Vector::negative_fma(mins, _mm512_broadcast_f32x8(load_floats(x[i] + (at.sums32 + 32 * b))), lanes);
            lanes = Vector::fma(Vector::to_floats(products), _mm512_permutexvar_ps(even_then_odd, _mm512_castps256_ps512(scales)), lanes);
        });
    }
    for (int i = 0; i < N; i++) totals[i] = sums[i];
}

template <bool in_pieces, int N>
inline __attribute__((always_inline)) void add_woven16(const uint8_t* row, int64_t begin, int64_t end, int64_t row_bytes, uintptr_t& later,
                                                       const std::byte* const (&x)[N], const RoundedLayout& at, JoinedSums (&totals)[N]) {
    JoinedSums sums[N];
    for (int i = 0; i < N; i++) sums[i] = totals[i];
    for (int64_t b = begin; b < end; b++) {
        const uint8_t* p = row + b * kWovenBytes<BlockQ6K>;
        fetch<kWovenBytes<BlockQ6K>, in_pieces>(p, row_bytes, later);
        const Woven<BlockQ6K> block(p);
        const __m512 offsets = joined(block.offsets[0], block.offsets[1]);
        unrolled<N>([&]<int i>() __attribute__((always_inline)) {
            sums[i].lanes =
                Vector::fma(offsets, Vector::load_floats(reinterpret_cast<const float*>(x[i] + (at.sums16 + 64 * b))), sums[i].lanes);
        });
        unrolled<2>([&]<int pair>() __attribute__((always_inline)) {
            Bytes32 first[2], fifth[2];
            block.template codes<pair, 0>(first[0], fifth[0]);
            block.template codes<pair, 1>(first[1], fifth[1]);
            const __m512i codes[] = {joined(first[0], fifth[0]), joined(first[1], fifth[1])};
            const __m512 scales = joined(block.scales[pair][0], block.scales[pair][1]);
            // Of the four pairs of factors, this one's and the one two further on.
            const __m512i factors_of = _mm512_setr_epi64(pair, pair, pair, pair, pair + 2, pair + 2, pair + 2, pair + 2);
            unrolled<N>([&]<int i>() __attribute__((always_inline)) {
                const std::byte* own = x[i] + (at.woven16 + 256 * b + 128 * pair);
                __m512i products = _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes[0], Vector::load(own));
                products = _mm512_dpbusd_epi32(products, codes[1], Vector::load(own + 64));
                const __m512d pairs = _mm512_castps_pd(_mm512_castps256_ps512(load_floats(x[i] + (at.pairs32 + 32 * b))));
                const __m512 factors = _mm512_castpd_ps(_mm512_permutexvar_pd(factors_of, pairs));
                sums[i].lanes = Vector::fma(Vector::to_floats(products), Vector::multiply(scales, factors), sums[i].lanes);
            });
        });
    }
    for (int i = 0; i < N; i++) totals[i] = sums[i];
}
