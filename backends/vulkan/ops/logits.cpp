// SPDX-License-Identifier: Apache-2.0
// The last product, in pieces of rows, whose logits go to the host or to the selection.
#include <algorithm>

#include "ops/product.hpp"

namespace ponder::vk {

void record_logits(const Recording& r, int32_t op) {
    const Product all = make_product(r, op);
    for (uint32_t first = 0; first < r.n_outputs; first += kLogitRows) {
        const uint32_t n = std::min<uint32_t>(kLogitRows, r.n_outputs - first);
        Product part = all;
        part.n_rows = n;
        part.src += uint64_t{first} * all.src_stride * 4;
        part.src_bytes = uint64_t{n} * all.src_stride * 4;
        part.dst = r.logits.address;
        part.dst_stride = r.logits_stride;
        part.dst_bytes = uint64_t{n} * r.logits_stride * 4;
        record_product(r, part);
        if (r.selector != nullptr) {
            r.selector->record(r.recorder, r.logits, r.logits_stride, all.n_out, r.data.reaches() + uint64_t{first} * 4, n);
        } else {
            r.recorder.copy(r.logits, 0, r.host_logits, 0, part.dst_bytes);
        }
        r.recorder.end_segment(static_cast<int32_t>(first), static_cast<int32_t>(n));
    }
}

}  // namespace ponder::vk
