// SPDX-License-Identifier: Apache-2.0
// Rows from devices before and to devices behind, through the host.
#include "vk_recording.hpp"

namespace ponder::vk {

void record_receive(const Recording& r, int32_t op) {
    const int32_t dst = r.program.ops[op].dst[0];
    r.recorder.copy(r.data.memory(), r.data.slot(r.program.ops[op]), r.scratch_memory, r.address(dst) - r.scratch_memory.address,
                    r.n_bytes(dst));
}

void record_send(const Recording& r, int32_t op) {
    const int32_t src = r.program.ops[op].src[0];
    r.recorder.copy(r.scratch_memory, r.address(src) - r.scratch_memory.address, r.data.sent_memory(), r.data.sent_place(r.program.ops[op]),
                    r.n_bytes(src));
    r.recorder.show_to_host();
}

}  // namespace ponder::vk
