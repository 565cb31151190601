// SPDX-License-Identifier: Apache-2.0
// Writes of keys and values to the cache; keys may be rotated along the way.
#include <algorithm>

#include "vk_recording.hpp"

namespace ponder::vk {

namespace {

struct KvWritePush {
    uint64_t src[2], header, positions, first_pages, angles;
    uint32_t stride[2], width[2], base[2];
    uint32_t head_dim, n_before, n_pairs, is_adjacent;
};

}  // namespace

void record_kv_write(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const ponder_kv_params& p = o.params.kv_write;
    const bool has_values = p.v_width > 0;
    const int32_t k = o.src[0], v = has_values ? o.src[1] : k;
    KvWritePush push{{r.address(k), r.address(v)},
                     r.data.header(),
                     r.data.positions(),
                     r.data.first_pages(),
                     0,
                     {r.stride(k), r.stride(v)},
                     {static_cast<uint32_t>(p.k_width), static_cast<uint32_t>(p.v_width)},
                     {static_cast<uint32_t>(p.k_offset / 4), static_cast<uint32_t>(p.v_offset / 4)}};
    if (const int32_t rope = r.merge(op).rope; rope >= 0) {
        const ponder_rope_params& rotation = r.program.ops[rope].params.rope;
        push.angles = r.data.angles(rope);
        push.head_dim = static_cast<uint32_t>(rotation.head_dim);
        push.n_before = static_cast<uint32_t>(rotation.n_before);
        push.n_pairs = static_cast<uint32_t>(rotation.n_rot / 2);
        push.is_adjacent = rotation.style == PONDER_ROPE_ADJACENT;
    }
    const uint32_t type = cache_type(r.program), piece = type == 0 ? 1 : type == 1 ? 2 : 32;
    const uint32_t constants[] = {type};
    r.recorder.dispatch("kv_write", constants, push,
                        {divide_up(std::max(push.width[0], push.width[1]), piece * 64), r.n_rows, has_values ? 2u : 1u},
                        {r.read(k), r.read(v), writes(kCacheAddress, 1)});
}

}  // namespace ponder::vk
