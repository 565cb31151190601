// SPDX-License-Identifier: Apache-2.0
// Llama: rotary pairs are adjacent (files store Q and K rows re-ordered for it), no biases, frequencies may be corrected by rope_freqs.
#include "model/block_dense.hpp"

namespace ponder {

Result<ModelGraph> build_llama(const ModelFile& file, const GraphOptions& options) {
    return build_dense(file, options, "llama", {.rope_style = PONDER_ROPE_ADJACENT, .has_qk_norm = false});
}

}  // namespace ponder
