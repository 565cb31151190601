// SPDX-License-Identifier: Apache-2.0
// Matrix products: few rows by teams of lanes that stream the matrix, more by tiles.
#include "ops/product.hpp"

namespace ponder::vk {

namespace {

// shaders/product.glsl
struct ProductPush {
    uint64_t weight, gated, src, dst, bias, norm, experts, tables;
    uint32_t planes[3];
    uint32_t units, n_in, n_out, n_rows, src_stride, dst_stride, src_batch, dst_batch, src_div, slice_rows, first_row, gated_rows;
    float epsilon;
};
static_assert(sizeof(ProductPush) == 128);

constexpr uint32_t kTileThreads = 256;

ProductPush push_of(const Recording& r, const Product& p) {
    const DeviceWeight& w = *p.weight;
    return {.weight = w.memory.address,
            .gated = p.gated != nullptr ? p.gated->memory.address : 0,
            .src = p.src,
            .dst = p.dst,
            .bias = p.bias,
            .norm = p.norm,
            .experts = p.experts,
            .tables = r.device.tables_address(),
            .planes = {w.planes[1], w.planes[2], w.planes[3]},
            .units = w.units,
            .n_in = w.n_cols,
            .n_out = p.n_out,
            .n_rows = p.n_rows,
            .src_stride = p.src_stride,
            .dst_stride = p.dst_stride,
            .src_batch = p.src_batch,
            .dst_batch = p.dst_batch,
            .src_div = p.src_div,
            .slice_rows = p.slice_rows,
            .first_row = p.first_row,
            .gated_rows = p.gated_rows,
            .epsilon = p.epsilon};
}

// What a file stores as float32, such as a router, is multiplied as that: half floats would move decisions.
Tiles choose_tiles(const Recording& r, const Product& p) { return p.weight->shader == "f32" ? Tiles::kFloats : r.device.traits().tiles; }

// With integers where the device has them; what a file stores as floats is multiplied as floats.
std::string choose_matvec(const Recording& r, const Product& p) {
    std::string with_integers = "matvec_int_" + p.weight->shader;
    const bool has_integers = r.device.traits().has_int_dot && find_shader(with_integers) != nullptr;
    return has_integers ? with_integers : "matvec_" + p.weight->shader;
}

MatvecShape choose_shape(const Device& device, const Product& p) {
    // Of 16 KiB of shared memory, the least there is, a unit takes 144 bytes for each source row, or 48 where it is rounded.
    const bool is_small = device.traits().shared_bytes < 32768;
    MatvecShape shape;
    shape.threads = 256;
    shape.cols = p.n_rows == 1 ? 1 : p.n_rows == 2 || is_small ? 2 : 4;
    shape.chunk = (is_small ? 64 : 128) / shape.cols;
    shape.rows = p.n_out < 2048 ? 1 : p.n_out < 8192 || p.gated != nullptr || shape.cols > 1 ? 2 : 4;
    // Short rows leave lanes without a unit.
    shape.lanes = p.weight->units <= 64 && p.weight->units % 32 != 0 ? 16 : 32;
    return shape;
}

// The source of a product: a norm's source where that is applied on the way in.
void set_source(const Recording& r, int32_t op, Product& product) {
    int32_t src = r.program.ops[op].src[0];
    const int32_t norm = r.merge(op).norm;
    if (norm >= 0 && r.rows(src) <= static_cast<uint32_t>(kFewRows)) {
        const ponder_op& norm_op = r.program.ops[norm];
        src = norm_op.src[0];
        product.norm = r.vector(norm_op.src[1]);
        product.epsilon = norm_op.params.rms_norm.epsilon;
    }
    product.src = r.address(src);
    product.src_stride = r.stride(src);
    product.src_bytes = r.n_bytes(src);
    product.n_rows = r.rows(src);
}

}  // namespace

void record_product(const Recording& r, const Product& p, const MatvecShape* forced) {
    const ProductPush push = push_of(r, p);
    const Access src = reads(p.src, p.src_bytes), dst = writes(p.dst, p.dst_bytes);
    const Access experts = reads(p.experts, p.experts != 0 ? uint64_t{p.n_batches} * 4 : 0);
    if (p.n_rows <= static_cast<uint32_t>(kFewRows)) {
        const MatvecShape shape = forced != nullptr ? *forced : choose_shape(r.device, p);
        const uint32_t constants[] = {shape.threads, shape.rows,  shape.cols,     shape.chunk, p.gated != nullptr,
                                      p.is_added,    p.norm != 0, p.experts != 0, shape.lanes};
        r.recorder.dispatch(choose_matvec(r, p), constants, push,
                            {divide_up(p.n_out, shape.rows * (shape.threads / shape.lanes)), p.n_batches, divide_up(p.n_rows, shape.cols)},
                            {src, dst, experts});
    } else {
        const Tiles tiles = choose_tiles(r, p);
        uint32_t constants[] = {0, 0, 0, 0, 0, p.is_added};
        if (tiles == Tiles::kMatricesKhr || tiles == Tiles::kMatricesNv) {
            const DeviceTraits& t = r.device.traits();
            // A step of 128 columns takes 42 KiB, one of 64 columns 26.
            constants[0] = t.shared_bytes >= 45056 ? 4 : 2;
            constants[1] = t.matrix.m;
            constants[2] = t.matrix.n;
            constants[3] = t.matrix.k;
            constants[4] = 64 / t.matrix.m * (64 / t.matrix.n) / (kTileThreads / t.subgroup_size);
        }
        r.recorder.dispatch(shader_prefix(tiles) + p.weight->shader, constants, push,
                            {divide_up(p.n_out, 64), divide_up(p.n_rows, 64), p.n_batches}, {src, dst});
    }
    r.recorder.add_work(static_cast<double>(p.n_out) * p.n_batches * p.n_rows * p.weight->n_cols * (p.gated != nullptr ? 2 : 1));
}

Product make_product(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    Product product;
    product.weight = r.weights.by_operand.at(o.src[1]);
    product.n_out = product.weight->slice_rows;
    product.bias = r.vector(o.src[2]);
    set_source(r, op, product);
    return product;
}

void set_destination(const Recording& r, int32_t id, Product& product) {
    product.dst = r.address(id);
    product.dst_stride = r.stride(id);
    product.dst_bytes = r.n_bytes(id);
}

}  // namespace ponder::vk
