// SPDX-License-Identifier: Apache-2.0
// Type mixes: which stored type each tensor of a quantised model gets.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "runtime/synth_shapes.hpp"

namespace ponder::synth {

struct TypeMix {
    const char* name;       // "Q4_K_M"
    int32_t file_type;      // general.file_type
    const char* base_type;  // of every matrix that no rule names
};

std::span<const TypeMix> type_mixes();

// Without regard to ASCII case. Errors: UNSUPPORTED, listing what there is.
Result<const TypeMix*> find_type_mix(std::string_view name);

// Sets `type` of every matrix; vectors stay F32. Errors: UNSUPPORTED if a tensor's rows are not whole blocks of its type, or if the
// type cannot be encoded.
Result<void> assign_types(const TypeMix& mix, const SynthShape& shape, int32_t n_layers, std::span<SynthTensor> tensors);

}  // namespace ponder::synth
