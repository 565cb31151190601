// SPDX-License-Identifier: Apache-2.0
// Chooses an instruction set.
#include "kernels.hpp"

#include <cstring>
#include <initializer_list>

namespace ponder::cpu {

const Kernels* find_kernels(const char* name) {
    // Best first.
    for (const auto& make : {amx_kernels, avx512_kernels, avx2_kernels, i8mm_kernels, neon_kernels, generic_kernels}) {
        const Kernels* kernels = make();
        if (kernels != nullptr && (name == nullptr || std::strcmp(name, kernels->name) == 0)) return kernels;
    }
    return nullptr;
}

}  // namespace ponder::cpu
