// SPDX-License-Identifier: Apache-2.0
// Qwen3 and R1-0528-Qwen3: rotary halves, RMS norms on the heads of Q and K, no biases.
#include "model/block_dense.hpp"

namespace ponder {

Result<ModelGraph> build_qwen3(const ModelFile& file, const GraphOptions& options) {
    return build_dense(file, options, "qwen3", {.rope_style = PONDER_ROPE_HALVES, .has_qk_norm = true});
}

}  // namespace ponder
