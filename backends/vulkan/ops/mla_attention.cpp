// SPDX-License-Identifier: Apache-2.0
// Latent attention, absorbed: queries are mapped to latents, then one key head serves all.
#include "ops/attention.hpp"
#include "ops/product.hpp"

namespace ponder::vk {

namespace {

struct CopyPush {
    uint64_t src, dst;
    uint32_t size, n_heads, src_stride, dst_stride, src_head, dst_head;
};

void copy_heads(const Recording& r, const CopyPush& push, uint64_t src_bytes, uint64_t dst_bytes) {
    r.recorder.dispatch("copy_heads", {}, push, {divide_up(push.size * push.n_heads, 128), r.n_rows},
                        {reads(push.src, src_bytes), writes(push.dst, dst_bytes)});
}

}  // namespace

void record_mla_attention(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const ponder_mla_attention_params& p = o.params.mla_attention;
    const auto n_heads = static_cast<uint32_t>(p.n_heads), n_nope = static_cast<uint32_t>(p.n_nope),
               n_rope = static_cast<uint32_t>(p.n_rope), n_latent = static_cast<uint32_t>(p.n_latent),
               v_dim = static_cast<uint32_t>(p.v_head_dim);
    const uint32_t head_dim = n_nope + n_rope, k_dim = n_latent + n_rope, nope_stride = divide_up(n_nope, 4) * 4,
                   latent_stride = divide_up(n_latent, 4) * 4;
    const uint64_t q = r.address(o.src[0]), q_bytes = r.n_bytes(o.src[0]);
    const uint64_t queries = r.temporary(op, 0), queries_bytes = r.temporary_bytes(op, 0);
    const uint64_t sums = r.temporary(op, 1), sums_bytes = r.temporary_bytes(op, 1);
    const bool is_combined = o.src[2] < 0;

    Product map{.weight = is_combined ? r.weights.turned_keys.at(o.src[1]) : r.weights.by_operand.at(o.src[1]),
                .n_out = n_latent,
                .n_rows = r.n_rows,
                .n_batches = n_heads,
                .src = q,
                .dst = queries,
                .src_stride = r.stride(o.src[0]),
                .dst_stride = n_heads * k_dim,
                .src_batch = head_dim,
                .dst_batch = k_dim,
                .slice_rows = n_latent,
                .src_bytes = q_bytes,
                .dst_bytes = queries_bytes};
    if (head_dim % 4 != 0) {
        // Products read their sources four at a time.
        map.src = r.temporary(op, 3);
        map.src_stride = n_heads * nope_stride;
        map.src_batch = nope_stride;
        map.src_bytes = r.temporary_bytes(op, 3);
        copy_heads(r, {q, map.src, n_nope, n_heads, r.stride(o.src[0]), map.src_stride, head_dim, nope_stride}, q_bytes, map.src_bytes);
    }
    record_product(r, map);
    copy_heads(
        r,
        {q + uint64_t{n_nope} * 4, queries + uint64_t{n_latent} * 4, n_rope, n_heads, r.stride(o.src[0]), n_heads * k_dim, head_dim, k_dim},
        q_bytes, queries_bytes);

    AttentionPush push{};
    push.q = queries;
    push.dst = sums;
    push.parts = r.temporary(op, 2);
    push.q_stride = n_heads * k_dim;
    push.dst_stride = n_heads * latent_stride;
    push.dst_head = latent_stride;
    push.k_dim = k_dim;
    push.v_dim = n_latent;
    push.k_width = push.v_width = k_dim;
    push.k_base = push.v_base = static_cast<uint32_t>(p.kv.k_offset / 4);
    push.n_heads = push.group = n_heads;
    push.scale = p.scale;
    attend(r, push, 1, queries_bytes, sums_bytes, r.temporary_bytes(op, 2));

    record_product(r, {.weight = r.weights.by_operand.at(is_combined ? o.src[1] : o.src[2]),
                       .n_out = v_dim,
                       .n_rows = r.n_rows,
                       .n_batches = n_heads,
                       .src = sums,
                       .dst = r.address(o.dst[0]),
                       .src_stride = n_heads * latent_stride,
                       .dst_stride = r.stride(o.dst[0]),
                       .src_batch = latent_stride,
                       .dst_batch = v_dim,
                       .slice_rows = is_combined ? n_nope + v_dim : v_dim,
                       .first_row = is_combined ? n_nope : 0,
                       .src_bytes = sums_bytes,
                       .dst_bytes = r.n_bytes(o.dst[0])});
}

}  // namespace ponder::vk
