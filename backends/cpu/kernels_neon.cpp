// SPDX-License-Identifier: Apache-2.0
// Armv8.2 with dot products: Cortex-A76, Neoverse N1, Apple A13 and later. CMake compiles this file for them.
#include "kernels.hpp"

#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)

#include <arm_neon.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

#include "kernels_prologue.hpp"

namespace ponder::cpu {

namespace {

bool has_dot_products() {
#ifdef __linux__
    return (getauxval(AT_HWCAP) & (1UL << 20)) != 0;  // HWCAP_ASIMDDP
#else
    return true;
#endif
}

#include "kernels_neon.hpp"

#define PONDER_KERNELS_HAVE_PANELS
#include "kernels_templates.hpp"

}  // namespace

const Kernels* neon_kernels() {
    static constexpr Kernels kKernels = make_kernels("neon");
    return has_dot_products() ? &kKernels : nullptr;
}

}  // namespace ponder::cpu

#else

const ponder::cpu::Kernels* ponder::cpu::neon_kernels() { return nullptr; }

#endif
