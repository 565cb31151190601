// SPDX-License-Identifier: Apache-2.0
// AVX2, FMA and F16C: Haswell and later, Zen and later. CMake compiles this file for them.
#include "kernels.hpp"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>

#include <bit>

#include "kernels_prologue.hpp"

namespace ponder::cpu {

namespace {

#include "kernels_x86.hpp"

struct Vector : X86Vector {
    static constexpr int kCacheQueries = 6, kSumVectors = 1;      // of queries and columns that pass over cached rows
    static constexpr int kProductVectors = 1;                     // side by side in a tile of a product: what the registers hold
    static constexpr int kPanelTile = 4;                          // activation rows that pass over a panel together
    static constexpr int kPanelsFrom = 5, kPanelsFromWoven = 12;  // source rows from which on they pay: measured on Zen 4
    static constexpr bool kPanelsKeepSigns = true;
    struct Bytes {
        __m256i low, high;
    };
    struct Ints {
        __m256i low, high;  // eight lanes each; lane i: elements 4i to 4i + 3
    };
    struct Floats {
        __m256 low, high;
    };

    static Bytes load(const void* p) { return {load32(p), load32(static_cast<const char*>(p) + 32)}; }
    static Bytes pair(const void* p, const void* q) { return {load32(p), load32(q)}; }
    static Bytes twice(const void* p) { return {load32(p), load32(p)}; }
    static Bytes quarters(const void* p, const void* q) {
        return {_mm256_broadcastsi128_si256(load16(p)), _mm256_broadcastsi128_si256(load16(q))};
    }
    // Bits cross from byte to byte; callers mask them away.
    template <int a, int b>
    static __m256i shift_right_halves(__m256i x) {
        if constexpr (a == b) return a == 0 ? x : _mm256_srli_epi64(x, a);
        return _mm256_srlv_epi64(x, _mm256_set_epi64x(b, b, a, a));
    }
    template <int a, int b, int c, int d>
    static Bytes shift_right(Bytes x) {
        return {shift_right_halves<a, b>(x.low), shift_right_halves<c, d>(x.high)};
    }
    template <int n>
    static Bytes shift_left(Bytes x) {
        return {_mm256_slli_epi64(x.low, n), _mm256_slli_epi64(x.high, n)};
    }
    static Bytes mask(Bytes x, int m) {
        const __m256i bits = _mm256_set1_epi8(static_cast<char>(m));
        return {_mm256_and_si256(x.low, bits), _mm256_and_si256(x.high, bits)};
    }
    static Bytes join(Bytes x, Bytes y) { return {_mm256_or_si256(x.low, y.low), _mm256_or_si256(x.high, y.high)}; }
    static __m256i spread_bits(uint32_t set, int value) {
        const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(set)),
                                                  _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0));
        const __m256i own = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201u));
        return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bytes, own), own), _mm256_set1_epi8(static_cast<char>(value)));
    }
    static Bytes bits(uint64_t set, int value) {
        return {spread_bits(static_cast<uint32_t>(set), value), spread_bits(static_cast<uint32_t>(set >> 32), value)};
    }
    static Bytes from_words(const uint64_t (&w)[8]) {
        const auto at = [&](int i) { return static_cast<int64_t>(w[i]); };
        return {_mm256_set_epi64x(at(3), at(2), at(1), at(0)), _mm256_set_epi64x(at(7), at(6), at(5), at(4))};
    }
    static Bytes negate(Bytes x, uint64_t set) {
        const Bytes all = bits(set, 0xff);
        return {_mm256_sub_epi8(_mm256_xor_si256(x.low, all.low), all.low), _mm256_sub_epi8(_mm256_xor_si256(x.high, all.high), all.high)};
    }
    static Bytes look_up(const int8_t* table, Bytes x) {
        const __m256i values = _mm256_broadcastsi128_si256(load16(table));
        return {_mm256_shuffle_epi8(values, x.low), _mm256_shuffle_epi8(values, x.high)};
    }
    // Woven sums: pairs of products in 16 bits, up to four of codes up to 31.
    static constexpr bool kSumsAreWide = false;
    static constexpr bool kSumsApart = false;
    static __m256i add_products(__m256i sums, __m256i u, __m256i a) { return _mm256_add_epi16(sums, _mm256_maddubs_epi16(u, a)); }
    static Floats8 widen_sums(__m256i sums) { return _mm256_cvtepi32_ps(_mm256_madd_epi16(sums, _mm256_set1_epi16(1))); }
    // Pairs of products must stay below 32,768: codes up to 128 beside activation codes up to 127.
    static __m256i multiply_add(__m256i u, __m256i a) { return _mm256_madd_epi16(_mm256_maddubs_epi16(u, a), _mm256_set1_epi16(1)); }
    static Ints dot_unsigned(Bytes u, const int8_t* a) { return {multiply_add(u.low, load32(a)), multiply_add(u.high, load32(a + 32))}; }
    template <int shift>
    static Ints dot_offset(Bytes u, const int8_t* a, const int32_t* neg_sums) {
        const Ints sum = dot_unsigned(u, a);
        return {_mm256_add_epi32(sum.low, _mm256_slli_epi32(load32(neg_sums), shift)),
                _mm256_add_epi32(sum.high, _mm256_slli_epi32(load32(neg_sums + 8), shift))};
    }
    static Ints dot_signed(Bytes w, const int8_t* a, const int32_t*) {
        return {multiply_add(_mm256_abs_epi8(w.low), _mm256_sign_epi8(load32(a), w.low)),
                multiply_add(_mm256_abs_epi8(w.high), _mm256_sign_epi8(load32(a + 32), w.high))};
    }
    static Bytes to_panel(Bytes w) { return w; }
    static Ints repeat(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
    // A group of a panel: sums[i] lane r += the codes of row r times the kColumns codes at x[i] + at. As many sums of two products as
    // cannot overflow are added in 16 bits.
    template <int kColumns, int kLargest, bool is_signed, int N>
    static __attribute__((always_inline)) void add_group(Ints (&sums)[N], const uint8_t* codes, const std::byte* const (&x)[N],
                                                         int64_t at) {
        constexpr unsigned kFours = kColumns / 4, kFit = 32767 / (2 * 127 * kLargest), kRun = std::bit_floor(kFit < kFours ? kFit : kFours);
        static_assert(kFours % kRun == 0);
        unrolled<kFours / kRun>([&]<int run>() __attribute__((always_inline)) {
            Bytes pairs[N];
            unrolled<kRun>([&]<int k>() __attribute__((always_inline)) {
                constexpr int four = run * static_cast<int>(kRun) + k;
                const Bytes w = load(codes + 64 * four);
                const Bytes sizes = is_signed ? Bytes{_mm256_abs_epi8(w.low), _mm256_abs_epi8(w.high)} : w;
                for (int i = 0; i < N; i++) {
                    const __m256i a = _mm256_set1_epi32(copy<int32_t>(x[i] + at + 4 * four));
                    const __m256i low = _mm256_maddubs_epi16(sizes.low, is_signed ? _mm256_sign_epi8(a, w.low) : a);
                    const __m256i high = _mm256_maddubs_epi16(sizes.high, is_signed ? _mm256_sign_epi8(a, w.high) : a);
                    pairs[i].low = k == 0 ? low : _mm256_add_epi16(pairs[i].low, low);
                    pairs[i].high = k == 0 ? high : _mm256_add_epi16(pairs[i].high, high);
                    // Else GCC adds in another order, with more sums than there are registers.
                    asm("" : "+x"(pairs[i].low), "+x"(pairs[i].high));
                }
            });
            const __m256i ones = _mm256_set1_epi16(1);
            for (int i = 0; i < N; i++) {
                sums[i].low = _mm256_add_epi32(sums[i].low, _mm256_madd_epi16(pairs[i].low, ones));
                sums[i].high = _mm256_add_epi32(sums[i].high, _mm256_madd_epi16(pairs[i].high, ones));
            }
        });
    }
    // Eight rows of 32 bytes, four bytes apart in dst: the first four of every row, then the next four, 64 bytes on.
    static void interleave8(const __m256i (&rows)[8], uint8_t* dst) {
        __m256i a[8], b[8];
        for (int i = 0; i < 8; i += 2) {
            a[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
            a[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        // Lane l of b[4q + c]: column 4l + c of rows 4q to 4q + 3.
        for (int q = 0; q < 2; q++) {
            for (int c = 0; c < 2; c++) {
                b[4 * q + 2 * c] = _mm256_unpacklo_epi64(a[4 * q + c], a[4 * q + 2 + c]);
                b[4 * q + 2 * c + 1] = _mm256_unpackhi_epi64(a[4 * q + c], a[4 * q + 2 + c]);
            }
        }
        for (int c = 0; c < 4; c++) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + 64 * c), _mm256_permute2x128_si256(b[c], b[4 + c], 0x20));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + 64 * (4 + c)), _mm256_permute2x128_si256(b[c], b[4 + c], 0x31));
        }
    }
    // Sixteen rows of 64 bytes to sixteen vectors of 16 x 4: the first four bytes of every row, then the next four.
    static void interleave(const Bytes (&rows)[16], uint8_t* dst) {
        for (int half = 0; half < 2; half++) {
            __m256i eight[8];
            for (int i = 0; i < 8; i++) eight[i] = rows[8 * half + i].low;
            interleave8(eight, dst + 32 * half);
            for (int i = 0; i < 8; i++) eight[i] = rows[8 * half + i].high;
            interleave8(eight, dst + 32 * half + 512);
        }
    }
    static void store_panel(const Bytes (&rows)[16], uint8_t* dst) { interleave(rows, dst); }
    static void store_negated(int32_t* p, Ints x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_sub_epi32(_mm256_setzero_si256(), x.low));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), _mm256_sub_epi32(_mm256_setzero_si256(), x.high));
    }

    static Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
    static Floats set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    static Floats load_floats(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    static void store(float* p, Floats x) {
        _mm256_storeu_ps(p, x.low);
        _mm256_storeu_ps(p + 8, x.high);
    }
    static Floats widen_half(const void* p) {
        return {_mm256_cvtph_ps(load16(p)), _mm256_cvtph_ps(load16(static_cast<const char*>(p) + 16))};
    }
    static Floats widen_f8(const void* p) {
        const __m256i halves = f8_halves(p);
        return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
    }
    static Floats widen_bf16(const void* p) {
        const __m128i high = load16(static_cast<const char*>(p) + 16);
        return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(p)), 16)),
                _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(high), 16))};
    }
    static Floats to_floats(Ints x) { return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)}; }
    static Floats add(Floats x, Floats y) { return {_mm256_add_ps(x.low, y.low), _mm256_add_ps(x.high, y.high)}; }
    static Floats subtract(Floats x, Floats y) { return {_mm256_sub_ps(x.low, y.low), _mm256_sub_ps(x.high, y.high)}; }
    static Floats multiply(Floats x, Floats y) { return {_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)}; }
    static Floats divide(Floats x, Floats y) { return {_mm256_div_ps(x.low, y.low), _mm256_div_ps(x.high, y.high)}; }
    static Floats fma(Floats x, Floats y, Floats z) {
        return {_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high)};
    }
    static Floats negative_fma(Floats x, Floats y, Floats z) {
        return {_mm256_fnmadd_ps(x.low, y.low, z.low), _mm256_fnmadd_ps(x.high, y.high, z.high)};
    }
    static Floats larger(Floats x, Floats y) { return {_mm256_max_ps(x.low, y.low), _mm256_max_ps(x.high, y.high)}; }
    static Floats smaller(Floats x, Floats y) { return {_mm256_min_ps(x.low, y.low), _mm256_min_ps(x.high, y.high)}; }
    static Floats magnitude(Floats x) {
        const __m256 sign = _mm256_set1_ps(-0.0f);
        return {_mm256_andnot_ps(sign, x.low), _mm256_andnot_ps(sign, x.high)};
    }
    static Floats round_to_even(Floats x) {
        constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        return {_mm256_round_ps(x.low, kMode), _mm256_round_ps(x.high, kMode)};
    }
    // x * 2^n for whole n in [-126, 127]
    static Floats times_power_of_two(Floats x, Floats n) {
        const __m256i bias = _mm256_set1_epi32(127);
        return multiply(x, {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.low), bias), 23)),
                            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.high), bias), 23))});
    }
    // Whole numbers in [-127, 127] to bytes.
    static void store_codes(int8_t* dst, Floats x) {
        const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high));  // quarters 0 2 1 3
        const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
        const __m128i codes = _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), codes);
    }
    static float sum(Floats x) { return sum8(_mm256_add_ps(x.low, x.high)); }
    // The sums of four vectors.
    static void store_sums(float* dst, const Floats (&x)[4]) {
        const __m256 ab = _mm256_hadd_ps(_mm256_add_ps(x[0].low, x[0].high), _mm256_add_ps(x[1].low, x[1].high));
        const __m256 cd = _mm256_hadd_ps(_mm256_add_ps(x[2].low, x[2].high), _mm256_add_ps(x[3].low, x[3].high));
        const __m256 all = _mm256_hadd_ps(ab, cd);
        _mm_storeu_ps(dst, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
    }
    static float maximum(Floats x) {
        const __m256 both = _mm256_max_ps(x.low, x.high);
        __m128 half = _mm_max_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
        half = _mm_max_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
    }

    static Floats widen_u8x16(const uint8_t* p) {
        const __m128i x = load16(p);
        return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x)), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)))};
    }
    static Floats widen_i8x16(uint64_t first, uint64_t last) { return {widen_i8x8(first), widen_i8x8(last)}; }
    static Floats widen_i8x16(const int8_t* p) {
        const __m128i x = load16(p);
        return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)))};
    }
    // Elements 2k and 2k + 1 of x, eight lanes each. They go through memory, whose loads spread them for nothing: a shuffle takes two
    // operations of a port that is busy.
    template <int k>
    static Floats spread2(const Floats8& x) {
        float lanes[8];
        _mm256_storeu_ps(lanes, x);
        asm("" : "+m"(lanes));
        return spread2(lanes + 2 * k);
    }
    static Floats spread2(const float* p) { return {_mm256_broadcast_ss(p), _mm256_broadcast_ss(p + 1)}; }
    // Elements 4k to 4k + 3 of x, four lanes each.
    template <int k>
    static Floats spread4(Floats x) {
        constexpr int a = 4 * (k % 2), b = a + 1, c = a + 2, d = a + 3;
        const __m256 half = k < 2 ? x.low : x.high;
        return {_mm256_permutevar8x32_ps(half, _mm256_set_epi32(b, b, b, b, a, a, a, a)),
                _mm256_permutevar8x32_ps(half, _mm256_set_epi32(d, d, d, d, c, c, c, c))};
    }
    // The halves at p and q, eight lanes each.
    static Floats spread_halves(const void* p, const void* q) {
        return {_mm256_cvtph_ps(_mm_set1_epi16(copy<int16_t>(p))), _mm256_cvtph_ps(_mm_set1_epi16(copy<int16_t>(q)))};
    }
};

#define PONDER_KERNELS_HAVE_PANELS
#define PONDER_KERNELS_WEAVE
#include "kernels_templates.hpp"

}  // namespace

const Kernels* avx2_kernels() {
    static constexpr Kernels kKernels = make_kernels("avx2");
    const bool can_run = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    return can_run ? &kKernels : nullptr;
}

}  // namespace ponder::cpu

#else

const ponder::cpu::Kernels* ponder::cpu::avx2_kernels() { return nullptr; }

#endif
