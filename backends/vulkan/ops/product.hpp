// SPDX-License-Identifier: Apache-2.0
// Matrix products as the operators ask for them.
#pragma once

#include "vk_recording.hpp"

namespace ponder::vk {

// dst = src times the weight's rows [first_row, first_row + n_out) of each slice. Addresses and strides are of float32.
struct Product {
    const DeviceWeight* weight = nullptr;
    const DeviceWeight* gated = nullptr;  // dst = silu(weight . src) * (gated . src); few rows only
    uint32_t n_out = 0, n_rows = 0, n_batches = 1;
    uint64_t src = 0, dst = 0, bias = 0, norm = 0, experts = 0;
    uint32_t src_stride = 0, dst_stride = 0;
    uint32_t src_batch = 0, dst_batch = 0, src_div = 1;
    uint32_t slice_rows = 0, first_row = 0, gated_rows = 0;
    float epsilon = 0.0f;
    bool is_added = false;
    uint64_t src_bytes = 0, dst_bytes = 0;  // what is read and written, for barriers
};
// How matvec.glsl cuts its work.
struct MatvecShape {
    uint32_t threads, rows, cols, chunk, lanes;
};
// Products of few rows may be gated, normalise their source, and take experts; others may not. `forced` is for measurements.
void record_product(const Recording& r, const Product& product, const MatvecShape* forced = nullptr);

// The product of an operator with one weight: of its first source, or of what a norm before it takes.
Product make_product(const Recording& r, int32_t op);
void set_destination(const Recording& r, int32_t id, Product& product);

}  // namespace ponder::vk
