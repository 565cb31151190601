// SPDX-License-Identifier: Apache-2.0
// Gated activations: within the products of few rows, else by themselves.
#include "ops/elementwise.hpp"
#include "ops/product.hpp"

namespace ponder::vk {

void record_swiglu_rows(const Recording& r, uint64_t gate, uint64_t up, uint64_t dst, uint32_t width, uint32_t stride, uint32_t n_rows) {
    const ElementwisePush push{gate, up, dst, 0, width, stride, stride, stride};
    const uint32_t constants[] = {kSwiglu};
    const uint64_t n_bytes = uint64_t{stride} * n_rows * 4;
    r.recorder.dispatch("elementwise", constants, push, {divide_up(width, 256), n_rows},
                        {reads(gate, n_bytes), reads(up, n_bytes), writes(dst, n_bytes)});
}

void record_swiglu(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const Merge& merge = r.merge(op);
    if (merge.gate < 0 || r.rows(o.src[0]) > static_cast<uint32_t>(kFewRows)) {
        record_swiglu_rows(r, r.address(o.src[0]), r.address(o.src[1]), r.address(o.dst[0]), r.width(o.dst[0]), r.stride(o.dst[0]),
                           r.rows(o.dst[0]));
        return;
    }
    Product product = make_product(r, merge.gate);
    product.gated = r.weights.by_operand.at(r.program.ops[merge.up].src[1]);
    set_destination(r, o.dst[0], product);
    record_product(r, product);
}

}  // namespace ponder::vk
