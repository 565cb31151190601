// SPDX-License-Identifier: Apache-2.0
// What the vectors of AVX2 and AVX-512 have in common: loads, and eight floats. For kernels_<isa>.cpp only, inside their anonymous
// namespace.
struct X86Vector {
    using Floats8 = __m256;

    static __m256i load32(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
    static __m128i load16(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
    // See f8_half.
    static __m256i f8_halves(const void* p) {
        const __m256i x = _mm256_cvtepu8_epi16(load16(p)), seven = _mm256_set1_epi16(0x7f);
        const __m256i bits = _mm256_andnot_si256(_mm256_set1_epi16(0x4000), _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 1));
        const __m256i is_nan = _mm256_cmpeq_epi16(_mm256_and_si256(x, seven), seven);
        return _mm256_or_si256(bits, _mm256_and_si256(is_nan, _mm256_set1_epi16(0x7e00)));
    }
    static Floats8 load_floats8(const float* p) { return _mm256_loadu_ps(p); }
    static void store8(float* p, Floats8 x) { _mm256_storeu_ps(p, x); }
    static Floats8 zero8() { return _mm256_setzero_ps(); }
    static Floats8 widen_u8x8(uint64_t x) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(x)))); }
    static Floats8 widen_i8x8(uint64_t x) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(x)))); }
    // The 16 bytes at p that Q4_K and Q5_K begin with: two halves, and eight scales and minimums of six bits. Integer units have time for
    // their codes, which vector units lack.
    static void load_groups(const uint8_t* p, Floats8& scales, Floats8& mins) {
        const GroupCodes codes(p);
        const __m256 halves = _mm256_cvtph_ps(_mm_set1_epi32(copy<int32_t>(p)));
        scales = _mm256_mul_ps(widen_u8x8(codes.scales), _mm256_moveldup_ps(halves));
        mins = _mm256_mul_ps(widen_u8x8(codes.mins), _mm256_movehdup_ps(halves));
    }
    static Floats8 multiply8(Floats8 x, Floats8 y) { return _mm256_mul_ps(x, y); }
    static Floats8 scale8(Floats8 x, float y) { return _mm256_mul_ps(x, _mm256_set1_ps(y)); }
    static Floats8 fma8(Floats8 x, Floats8 y, Floats8 z) { return _mm256_fmadd_ps(x, y, z); }
    static float sum8(Floats8 x) {
        __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        half = _mm_add_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
    }
};
