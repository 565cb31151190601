// SPDX-License-Identifier: Apache-2.0
// Routed experts, whose matrices the device looks up.
#include "ops/elementwise.hpp"
#include "ops/product.hpp"

namespace ponder::vk {

namespace {

struct SumPush {
    uint64_t results, weights, dst;
    uint32_t width, n_used, results_stride, weights_stride, dst_stride;
};

}  // namespace

void record_moe_ffn(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const DeviceWeight *gate = r.weights.by_operand.at(o.src[3]), *down = r.weights.by_operand.at(o.src[5]);
    const DeviceWeight* up = o.src[4] < 0 ? gate : r.weights.by_operand.at(o.src[4]);
    const uint32_t n_used = r.width(o.src[1]), n_ff = down->n_cols, n_embd = r.width(o.dst[0]), n = r.n_rows * n_used;
    const uint32_t hidden_stride = divide_up(n_ff, 4) * 4, result_stride = divide_up(n_embd, 4) * 4;
    const uint64_t hidden = r.temporary(op, 0), results = r.temporary(op, 1), ups = r.temporary(op, 2);
    // One source row for each product, and as many batches as experts are used by all rows.
    Product product{.weight = gate,
                    .n_out = n_ff,
                    .n_rows = 1,
                    .n_batches = n,
                    .src = r.address(o.src[0]),
                    .dst = hidden,
                    .experts = r.address(o.src[1]),
                    .src_batch = r.stride(o.src[0]),
                    .dst_batch = hidden_stride,
                    .src_div = n_used,
                    .slice_rows = gate->slice_rows,
                    .src_bytes = r.n_bytes(o.src[0]),
                    .dst_bytes = r.temporary_bytes(op, 0)};
    if (up == gate || up->shader == gate->shader) {
        product.gated = up;
        product.gated_rows = up == gate ? n_ff : 0;
        record_product(r, product);
    } else {
        record_product(r, product);
        product.weight = up;
        product.dst = ups;
        product.slice_rows = up->slice_rows;
        product.dst_bytes = r.temporary_bytes(op, 2);
        record_product(r, product);
        record_swiglu_rows(r, hidden, ups, hidden, n_ff, hidden_stride, n);
    }
    record_product(r, {.weight = down,
                       .n_out = n_embd,
                       .n_rows = 1,
                       .n_batches = n,
                       .src = hidden,
                       .dst = results,
                       .experts = r.address(o.src[1]),
                       .src_batch = hidden_stride,
                       .dst_batch = result_stride,
                       .slice_rows = down->slice_rows,
                       .src_bytes = r.temporary_bytes(op, 0),
                       .dst_bytes = r.temporary_bytes(op, 1)});
    const SumPush push{results, r.address(o.src[2]), r.address(o.dst[0]), n_embd,
                       n_used,  result_stride,       r.stride(o.src[2]),  r.stride(o.dst[0])};
    r.recorder.dispatch("moe_sum", {}, push, {divide_up(n_embd, 256), r.n_rows},
                        {reads(results, r.temporary_bytes(op, 1)), r.read(o.src[2]), r.write(o.dst[0])});
}

}  // namespace ponder::vk
