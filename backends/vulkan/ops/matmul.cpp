// SPDX-License-Identifier: Apache-2.0
// Products by weights.
#include "ops/product.hpp"

namespace ponder::vk {

void record_matmul(const Recording& r, int32_t op) {
    const Merge& merge = r.merge(op);
    if (merge.is_gated && r.rows(r.program.ops[op].src[0]) <= static_cast<uint32_t>(kFewRows)) return;
    Product product = make_product(r, op);
    product.is_added = merge.added_to >= 0;
    set_destination(r, product.is_added ? merge.added_to : r.program.ops[op].dst[0], product);
    record_product(r, product);
}

}  // namespace ponder::vk
