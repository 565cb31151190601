// SPDX-License-Identifier: Apache-2.0
// What the mixes' rules need to know about a shape.
#include "runtime/synth_mix.hpp"

#include <algorithm>

namespace ponder::synth {

Result<void> assign_types(const TypeMix& mix, const SynthShape& shape, int32_t n_layers, std::span<SynthTensor> tensors) {
    MixModel model = {.n_layers = n_layers, .n_heads = shape.n_heads, .n_kv_heads = shape.n_kv_heads};
    model.n_experts = shape.experts.n_experts;
    model.has_output = std::any_of(tensors.begin(), tensors.end(), [](const SynthTensor& t) { return t.role == TensorRole::kOutput; });
    for (SynthTensor& tensor : tensors) {
        if (!is_quantised_role(tensor.role)) continue;
        const QuantType& type = *choose_type(mix, model, {tensor.role, tensor.layer}, tensor.n_cols).type;
        if (type.encode == nullptr) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "type mix %s needs %s, which cannot be encoded", mix.name, type.name);
        }
        tensor.type = type.id;
    }
    return {};
}

}  // namespace ponder::synth
