// SPDX-License-Identifier: Apache-2.0
// AVX-512 with VNNI: Ice Lake and later, Zen 4 and later. CMake compiles this file for them.
#include "kernels.hpp"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

#include <immintrin.h>

#include "kernels_prologue.hpp"

namespace ponder::cpu {

namespace {

#include "kernels_avx512.hpp"

#define PONDER_KERNELS_HAVE_PANELS
#define PONDER_KERNELS_WEAVE
#include "kernels_templates.hpp"

void round_bf16(const float* src, int64_t n, std::byte* dst) {
    for (int64_t i = 0; i < (n + 31) / 32 * 32; i += 16) {
        const int64_t left = n - i;
        const auto lanes = static_cast<__mmask16>(left >= 16 ? 0xffffu : left <= 0 ? 0u : (1u << left) - 1u);
        const __m512 x = _mm512_maskz_loadu_ps(lanes, src + i);
        const __m512i bits = _mm512_castps_si512(x), last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        const __m512i nearest = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), last);
        // A carry would make an infinity or a zero of what is no number.
        const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        const __m512i rounded = _mm512_mask_or_epi32(nearest, is_nan, bits, _mm512_set1_epi32(0x400000));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + 2 * i), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
    }
}

}  // namespace

const Kernels* avx512_kernels() {
    static constexpr Kernels kKernels = [] {
        Kernels kernels = make_kernels("avx512");
        kernels.round_bf16 = round_bf16;
        return kernels;
    }();
    const bool can_run = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
    return can_run ? &kKernels : nullptr;
}

}  // namespace ponder::cpu

#else

const ponder::cpu::Kernels* ponder::cpu::avx512_kernels() { return nullptr; }

#endif
