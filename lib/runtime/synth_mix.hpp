// SPDX-License-Identifier: Apache-2.0
// Gives the tensors of a synthetic model the stored types of a mix.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/synth_shapes.hpp"
#include "runtime/type_mix.hpp"

namespace ponder::synth {

using ponder::find_type_mix;
using ponder::type_mixes;
using ponder::TypeMix;

// Sets `type` of every matrix; vectors and routers stay F32. Errors: UNSUPPORTED if a type cannot be encoded.
Result<void> assign_types(const TypeMix& mix, const SynthShape& shape, int32_t n_layers, std::span<SynthTensor> tensors);

}  // namespace ponder::synth
