// SPDX-License-Identifier: Apache-2.0
// Arm with products of byte matrices (FEAT_I8MM): Cortex-X2, Neoverse V1 and N2, Apple M2 and later. CMake compiles this file for them.
#include "kernels.hpp"

#if defined(__aarch64__) && defined(__ARM_FEATURE_MATMUL_INT8)

#include <arm_neon.h>
#ifdef __linux__
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "kernels_prologue.hpp"

namespace ponder::cpu {

namespace {

bool has_matrix_products() {
#ifdef __linux__
    return (getauxval(AT_HWCAP2) & (1UL << 13)) != 0 && (getauxval(AT_HWCAP) & (1UL << 20)) != 0;  // HWCAP2_I8MM, HWCAP_ASIMDDP
#elif defined(__APPLE__)
    int is_there = 0;
    size_t size = sizeof is_there;
    return sysctlbyname("hw.optional.arm.FEAT_I8MM", &is_there, &size, nullptr, 0) == 0 && is_there != 0;
#else
    return false;
#endif
}

#include "kernels_neon.hpp"

#define PONDER_KERNELS_HAVE_PANELS
#include "kernels_templates.hpp"

}  // namespace

const Kernels* i8mm_kernels() {
    static constexpr Kernels kKernels = make_kernels("i8mm");
    return has_matrix_products() ? &kKernels : nullptr;
}

}  // namespace ponder::cpu

#else

const ponder::cpu::Kernels* ponder::cpu::i8mm_kernels() { return nullptr; }

#endif
