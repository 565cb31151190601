// SPDX-License-Identifier: Apache-2.0
// Rotations that no write of keys does along the way.
#include "vk_recording.hpp"

namespace ponder::vk {

namespace {

struct RopePush {
    uint64_t x, angles;
    uint32_t stride, n_heads, head_dim, n_before, n_pairs, is_adjacent;
};

}  // namespace

void record_rope(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    if (r.merge(op).is_roped) return;
    const ponder_rope_params& p = o.params.rope;
    const auto n_pairs = static_cast<uint32_t>(p.n_rot / 2);
    const RopePush push{r.address(o.src[0]),
                        r.data.angles(op),
                        r.stride(o.src[0]),
                        static_cast<uint32_t>(p.n_heads),
                        static_cast<uint32_t>(p.head_dim),
                        static_cast<uint32_t>(p.n_before),
                        n_pairs,
                        p.style == PONDER_ROPE_ADJACENT};
    r.recorder.dispatch("rope", {}, push, {divide_up(push.n_heads * n_pairs, 128), r.rows(o.src[0])}, {r.write(o.src[0])});
}

}  // namespace ponder::vk
