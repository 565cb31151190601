// SPDX-License-Identifier: Apache-2.0
// Qwen2 and R1-Distill-Qwen: rotary halves, biases on Q, K and V.
#include "model/block_dense.hpp"

namespace ponder {

Result<ModelGraph> build_qwen2(const ModelFile& file, const GraphOptions& options) {
    return build_dense(file, options, "qwen2", {.rope_style = PONDER_ROPE_HALVES, .has_qk_norm = false});
}

}  // namespace ponder
