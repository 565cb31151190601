// SPDX-License-Identifier: Apache-2.0
// The choice of experts; it stays on the device.
#include "vk_recording.hpp"

namespace ponder::vk {

namespace {

struct RoutePush {
    uint64_t logits, bias, experts, weights;
    uint32_t logits_stride, dst_stride, n_used, n_groups, n_groups_used, is_sigmoid, is_normalised;
    float scale;
};

}  // namespace

void record_moe_route(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const ponder_moe_route_params& p = o.params.moe_route;
    const RoutePush push{r.address(o.src[0]),
                         r.vector(o.src[1]),
                         r.address(o.dst[0]),
                         r.address(o.dst[1]),
                         r.stride(o.src[0]),
                         r.stride(o.dst[0]),
                         static_cast<uint32_t>(p.n_used),
                         static_cast<uint32_t>(p.n_groups),
                         static_cast<uint32_t>(p.n_groups_used),
                         p.gating == PONDER_MOE_SIGMOID,
                         p.is_normalised != 0,
                         p.scale};
    const uint32_t constants[] = {r.width(o.src[0])};
    r.recorder.dispatch("moe_route", constants, push, {r.rows(o.src[0])}, {r.read(o.src[0]), r.write(o.dst[0]), r.write(o.dst[1])});
}

}  // namespace ponder::vk
