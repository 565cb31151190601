// SPDX-License-Identifier: Apache-2.0
// The rows that have outputs.
#include "ops/elementwise.hpp"

namespace ponder::vk {

void record_gather_rows(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const int32_t src = o.src[0], dst = o.dst[0];
    const ElementwisePush push{r.address(src), 0, r.address(dst), r.data.output_rows(), r.width(dst), r.stride(src), 0, r.stride(dst)};
    const uint32_t constants[] = {kGather};
    r.recorder.dispatch("elementwise", constants, push, {divide_up(push.width, 256), r.rows(dst)}, {r.read(src), r.write(dst)});
}

}  // namespace ponder::vk
