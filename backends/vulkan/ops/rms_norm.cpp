// SPDX-License-Identifier: Apache-2.0
// Norms that no product applies on the way in.
#include "vk_recording.hpp"

namespace ponder::vk {

namespace {

struct NormPush {
    uint64_t x, delta, dst, weight;
    uint32_t size, x_stride, delta_stride, dst_stride;
    float epsilon;
};

}  // namespace

void record_rms_norm(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const Merge& merge = r.merge(op);
    const int32_t x = o.src[0], dst = o.dst[0], delta = merge.is_added ? -1 : o.src[2];
    const uint32_t n_rows = r.rows(x);
    if (merge.is_foldable && n_rows <= static_cast<uint32_t>(kFewRows)) return;
    const uint32_t size = r.width(o.src[1]);
    const uint32_t end = o.params.rms_norm.n_first > 0 ? static_cast<uint32_t>(o.params.rms_norm.n_first) : r.width(x);
    const NormPush push{r.address(x), delta < 0 ? 0 : r.address(delta), r.address(dst), r.vector(o.src[1]),       size,
                        r.stride(x),  delta < 0 ? 0 : r.stride(delta),  r.stride(dst),  o.params.rms_norm.epsilon};
    r.recorder.dispatch("rms_norm", {}, push, {end / size, n_rows},
                        {delta < 0 ? r.read(x) : r.write(x), delta < 0 ? r.read(x) : r.read(delta), r.write(dst)});
}

}  // namespace ponder::vk
