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
#define PONDER_KERNELS_JOIN
#include "kernels_templates.hpp"

}  // namespace

const Kernels* avx512_kernels() {
    static constexpr Kernels kKernels = make_kernels("avx512");
    const bool can_run = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
    return can_run ? &kKernels : nullptr;
}

}  // namespace ponder::cpu

#else

const ponder::cpu::Kernels* ponder::cpu::avx512_kernels() { return nullptr; }

#endif
