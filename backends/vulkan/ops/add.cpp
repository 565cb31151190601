// SPDX-License-Identifier: Apache-2.0
// Sums that no product adds itself.
#include "ops/elementwise.hpp"

namespace ponder::vk {

void record_add(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    if (r.merge(op).is_added) return;
    const int32_t x = o.src[0], delta = o.src[1];
    const ElementwisePush push{r.address(x), r.address(delta), r.address(x), 0, r.width(x), r.stride(x), r.stride(delta), r.stride(x)};
    const uint32_t constants[] = {kAdd};
    r.recorder.dispatch("elementwise", constants, push, {divide_up(push.width, 256), r.rows(x)}, {r.write(x), r.read(delta)});
}

}  // namespace ponder::vk
