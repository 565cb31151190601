// SPDX-License-Identifier: Apache-2.0
// Rows of the embeddings, which the host decodes.
#include "vk_recording.hpp"

namespace ponder::vk {

void record_embed(const Recording& r, int32_t op) {
    const int32_t dst = r.program.ops[op].dst[0];
    r.recorder.copy(r.data.memory(), r.data.embedding(op), r.scratch_memory, r.address(dst) - r.scratch_memory.address, r.n_bytes(dst));
}

}  // namespace ponder::vk
