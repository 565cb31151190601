// SPDX-License-Identifier: Apache-2.0
// What the kernels compute with on AVX-512: vectors of 64 bytes. Included inside the anonymous namespace of a file of kernels.
#include "kernels_x86.hpp"

struct Vector : X86Vector {
    static constexpr int kCacheQueries = 6, kSumVectors = 4;      // of queries and columns that pass over cached rows
    static constexpr int kProductVectors = 4;                     // side by side in a tile of a product: what the registers hold
    static constexpr int kPanelTile = 12;                         // activation rows that pass over a panel together
    static constexpr int kPanelsFrom = 4, kPanelsFromWoven = 10;  // source rows from which on they pay: measured on Zen 4
    static constexpr bool kPanelsKeepSigns = false;               // signed codes become unsigned ones, larger by 2^kSigned
    using Bytes = __m512i;
    using Ints = __m512i;  // lane i: elements 4i to 4i + 3
    using Floats = __m512;

    static Bytes load(const void* p) { return _mm512_loadu_si512(p); }
    static Bytes pair(const void* p, const void* q) { return _mm512_inserti64x4(_mm512_castsi256_si512(load32(p)), load32(q), 1); }
    static Bytes twice(const void* p) { return _mm512_broadcast_i64x4(load32(p)); }
    static Bytes quarters(const void* p, const void* q) {
        return _mm512_mask_broadcast_i64x2(_mm512_broadcast_i64x2(load16(p)), 0xf0, load16(q));
    }
    // Bits cross from byte to byte; callers mask them away.
    template <int a, int b, int c, int d>
    static Bytes shift_right(Bytes x) {
        if constexpr (a == b && b == c && c == d) return a == 0 ? x : _mm512_srli_epi64(x, a);
        return _mm512_srlv_epi64(x, _mm512_set_epi64(d, d, c, c, b, b, a, a));
    }
    template <int n>
    static Bytes shift_left(Bytes x) {
        return _mm512_slli_epi64(x, n);
    }
    static Bytes mask(Bytes x, int m) { return _mm512_and_si512(x, _mm512_set1_epi8(static_cast<char>(m))); }
    static Bytes join(Bytes x, Bytes y) { return _mm512_or_si512(x, y); }
    static Bytes from_words(const uint64_t (&w)[8]) {
        const auto at = [&](int i) { return static_cast<int64_t>(w[i]); };
        return _mm512_set_epi64(at(7), at(6), at(5), at(4), at(3), at(2), at(1), at(0));
    }
    static Bytes negate(Bytes x, uint64_t set) { return _mm512_mask_sub_epi8(x, set, _mm512_setzero_si512(), x); }
    static Bytes bits(uint64_t set, int value) { return _mm512_maskz_set1_epi8(set, static_cast<char>(value)); }
    static Bytes look_up(const int8_t* table, Bytes x) { return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load16(table)), x); }
    static Ints dot_unsigned(Bytes u, const int8_t* a) { return _mm512_dpbusd_epi32(_mm512_setzero_si512(), u, load(a)); }
    template <int shift>
    static Ints dot_offset(Bytes u, const int8_t* a, const int32_t* neg_sums) {
        return _mm512_dpbusd_epi32(_mm512_slli_epi32(load(neg_sums), shift), u, load(a));
    }
    static Ints dot_signed(Bytes w, const int8_t* a, const int32_t* neg_sums) { return dot_offset<7>(flip_signs(w), a, neg_sums); }
    static Bytes to_panel(Bytes w) { return flip_signs(w); }
    static Bytes flip_signs(Bytes w) { return _mm512_xor_si512(w, _mm512_set1_epi8(-128)); }
    // Woven sums.
    static constexpr bool kSumsAreWide = true;
    static constexpr bool kSumsApart = true;
    static __m256i add_products(__m256i sums, __m256i u, __m256i a) { return _mm256_dpbusd_epi32(sums, u, a); }
    static Floats8 widen_sums(__m256i sums) { return _mm256_cvtepi32_ps(sums); }
    static Ints repeat(int32_t x) { return _mm512_set1_epi32(x); }
    // A group of a panel: sums[i] lane r += the codes of row r times the kColumns codes at x[i] + at.
    template <int kColumns, int kLargest, bool is_signed, int N>
    static __attribute__((always_inline)) void add_group(Ints (&sums)[N], const uint8_t* codes, const std::byte* const (&x)[N],
                                                         int64_t at) {
        static_assert(!is_signed);
        unrolled<kColumns / 4>([&]<int k>() __attribute__((always_inline)) {
            const Bytes fours = load(codes + 64 * k);
            for (int i = 0; i < N; i++) sums[i] = _mm512_dpbusd_epi32(sums[i], fours, _mm512_set1_epi32(copy<int32_t>(x[i] + at + 4 * k)));
        });
    }
    // Sixteen rows of 64 bytes to sixteen vectors of 16 x 4: the first four bytes of every row, then the next four. store(i, vector i)
    template <class Store>
    static __attribute__((always_inline)) void turn(const Bytes (&rows)[16], const Store& store) {
        Bytes a[16], b[16];
        for (int i = 0; i < 16; i += 2) {
            a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        // Lane l of b[4q + c]: column 4l + c of rows 4q to 4q + 3.
        for (int q = 0; q < 4; q++) {
            for (int c = 0; c < 2; c++) {
                b[4 * q + 2 * c] = _mm512_unpacklo_epi64(a[4 * q + c], a[4 * q + 2 + c]);
                b[4 * q + 2 * c + 1] = _mm512_unpackhi_epi64(a[4 * q + c], a[4 * q + 2 + c]);
            }
        }
        for (int c = 0; c < 4; c++) {
            const Bytes low01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x44), high01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xee);
            const Bytes low23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x44), high23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xee);
            store(c, _mm512_shuffle_i32x4(low01, low23, 0x88));
            store(4 + c, _mm512_shuffle_i32x4(low01, low23, 0xdd));
            store(8 + c, _mm512_shuffle_i32x4(high01, high23, 0x88));
            store(12 + c, _mm512_shuffle_i32x4(high01, high23, 0xdd));
        }
    }
    static void interleave(const Bytes (&rows)[16], uint8_t* dst) {
        turn(
            rows, [&](int64_t i, Bytes vector) __attribute__((always_inline)) { _mm512_storeu_si512(dst + 64 * i, vector); });
    }
    static void store_panel(const Bytes (&rows)[16], uint8_t* dst) { interleave(rows, dst); }
    static void store_negated(int32_t* p, Ints x) { _mm512_storeu_si512(p, _mm512_sub_epi32(_mm512_setzero_si512(), x)); }

    static Floats zero() { return _mm512_setzero_ps(); }
    static Floats set(float x) { return _mm512_set1_ps(x); }
    static Floats load_floats(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
    static Floats widen_half(const void* p) { return _mm512_cvtph_ps(load32(p)); }
    static Floats widen_f8(const void* p) { return _mm512_cvtph_ps(f8_halves(p)); }
    static Floats widen_bf16(const void* p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load32(p)), 16)); }
    static Floats to_floats(Ints x) { return _mm512_cvtepi32_ps(x); }
    static Floats add(Floats x, Floats y) { return _mm512_add_ps(x, y); }
    static Floats subtract(Floats x, Floats y) { return _mm512_sub_ps(x, y); }
    static Floats multiply(Floats x, Floats y) { return _mm512_mul_ps(x, y); }
    // A reciprocal of 14 bits, then one of Newton's steps: two units of the last place at most, in a third of the time of a division.
    static Floats divide(Floats x, Floats y) {
        const Floats r = _mm512_rcp14_ps(y);
        return _mm512_mul_ps(x, _mm512_fmadd_ps(r, _mm512_fnmadd_ps(y, r, _mm512_set1_ps(1.0f)), r));
    }
    static Floats fma(Floats x, Floats y, Floats z) { return _mm512_fmadd_ps(x, y, z); }
    static Floats negative_fma(Floats x, Floats y, Floats z) { return _mm512_fnmadd_ps(x, y, z); }
    static Floats larger(Floats x, Floats y) { return _mm512_max_ps(x, y); }
    static Floats smaller(Floats x, Floats y) { return _mm512_min_ps(x, y); }
    static Floats magnitude(Floats x) { return _mm512_abs_ps(x); }
    static Floats round_to_even(Floats x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    // x * 2^n for whole n in [-126, 127]
    static Floats times_power_of_two(Floats x, Floats n) { return _mm512_scalef_ps(x, n); }
    // Whole numbers in [-127, 127] to bytes.
    static void store_codes(int8_t* dst, Floats x) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
    }
    static float sum(Floats x) { return sum8(_mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1))); }
    // The sums of four vectors.
    static void store_sums(float* dst, const Floats (&x)[4]) {
        __m256 half[4];
        for (int i = 0; i < 4; i++) half[i] = _mm256_add_ps(_mm512_castps512_ps256(x[i]), _mm512_extractf32x8_ps(x[i], 1));
        const __m256 all = _mm256_hadd_ps(_mm256_hadd_ps(half[0], half[1]), _mm256_hadd_ps(half[2], half[3]));
        _mm_storeu_ps(dst, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
    }
    static float maximum(Floats x) { return _mm512_reduce_max_ps(x); }

    static Floats widen_u8x16(const uint8_t* p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load16(p))); }
    static Floats widen_i8x16(uint64_t first, uint64_t last) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_set_epi64x(static_cast<int64_t>(last), static_cast<int64_t>(first))));
    }
    static Floats widen_i8x16(const int8_t* p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load16(p))); }
    // Elements 2k and 2k + 1 of x, eight lanes each.
    template <int k>
    static Floats spread2(Floats8 x) {
        constexpr int a = 2 * k, b = a + 1;
        return _mm512_permutexvar_ps(_mm512_set_epi32(b, b, b, b, b, b, b, b, a, a, a, a, a, a, a, a), _mm512_castps256_ps512(x));
    }
    static Floats spread2(const float* p) {
        const __m128 two = _mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(p)));
        return _mm512_permutexvar_ps(_mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0), _mm512_castps128_ps512(two));
    }
    // Elements 4k to 4k + 3 of x, four lanes each.
    template <int k>
    static Floats spread4(Floats x) {
        constexpr int a = 4 * k, b = a + 1, c = a + 2, d = a + 3;
        return _mm512_permutexvar_ps(_mm512_set_epi32(d, d, d, d, c, c, c, c, b, b, b, b, a, a, a, a), x);
    }
    // The halves at p and q, eight lanes each.
    static Floats spread_halves(const void* p, const void* q) {
        return _mm512_cvtph_ps(_mm256_mask_set1_epi16(_mm256_set1_epi16(copy<int16_t>(p)), 0xff00, copy<int16_t>(q)));
    }
};
