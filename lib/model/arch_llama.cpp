// SPDX-License-Identifier: Apache-2.0
// Llama: rotary pairs are adjacent (files store Q and K rows re-ordered for it), no biases, frequencies may be corrected by rope_freqs.
#include "model/block_dense.hpp"

namespace ponder {

Result<ModelGraph> build_llama(const ModelFile& file, const GraphOptions& options) {
    // Set where the rows are as they were published, not re-ordered.
    const auto is_in_halves = file.metadata.get_bool("ponder.rope.halves");
    if (!is_in_halves) return is_in_halves.error();
    const int32_t rope_style = is_in_halves->value_or(false) ? PONDER_ROPE_HALVES : PONDER_ROPE_ADJACENT;
    return build_dense(file, options, "llama", {.rope_style = rope_style, .has_qk_norm = false});
}

}  // namespace ponder
