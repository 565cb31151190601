// SPDX-License-Identifier: Apache-2.0
// Attention over the cache.
#include "ops/attention.hpp"

namespace ponder::vk {

namespace {

struct MergePush {
    uint64_t parts, dst, positions;
    uint32_t n_heads, v_dim, n_parts, dst_stride, dst_head;
};

}  // namespace

uint32_t cache_type(const ponder_program& program) {
    return program.kv_type == PONDER_TYPE_F32 ? 0 : program.kv_type == PONDER_TYPE_F16 ? 1 : 2;
}

void attend(const Recording& r, AttentionPush push, uint32_t n_kv_heads, uint64_t q_bytes, uint64_t dst_bytes, uint64_t parts_bytes) {
    push.header = r.data.header();
    push.positions = r.data.positions();
    push.first_pages = r.data.first_pages();
    const uint32_t heads = attention_heads(push.group, push.k_dim);
    const uint32_t n_workgroups = n_kv_heads * divide_up(push.group, heads);
    push.n_parts = attention_parts(r.n_rows, n_workgroups);
    const bool is_vector = push.k_dim % 4 == 0 && push.k_width % 4 == 0;
    const uint32_t constants[] = {cache_type(r.program), heads, divide_up(push.v_dim, 128), is_vector, divide_up(push.k_dim, 4)};
    const bool has_parts = push.n_parts > 1;
    r.recorder.dispatch(
        "attention", constants, push, {n_workgroups, r.n_rows, push.n_parts},
        {reads(push.q, q_bytes), has_parts ? writes(push.parts, parts_bytes) : writes(push.dst, dst_bytes), reads(kCacheAddress, 1)});
    if (!has_parts) return;
    const MergePush merge{push.parts, push.dst, push.positions, push.n_heads, push.v_dim, push.n_parts, push.dst_stride, push.dst_head};
    r.recorder.dispatch("attention_merge", {}, merge, {push.n_heads, r.n_rows},
                        {reads(push.parts, parts_bytes), writes(push.dst, dst_bytes)});
}

void record_attention(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const ponder_attention_params& p = o.params.attention;
    AttentionPush push{};
    push.q = r.address(o.src[0]);
    push.dst = r.address(o.dst[0]);
    push.parts = r.temporary(op, 0);
    push.q_stride = r.stride(o.src[0]);
    push.dst_stride = r.stride(o.dst[0]);
    push.k_dim = static_cast<uint32_t>(p.k_head_dim);
    push.v_dim = push.dst_head = static_cast<uint32_t>(p.v_head_dim);
    push.k_width = static_cast<uint32_t>(p.kv.k_width);
    push.v_width = static_cast<uint32_t>(p.kv.v_width);
    push.k_base = static_cast<uint32_t>(p.kv.k_offset / 4);
    push.v_base = static_cast<uint32_t>(p.kv.v_offset / 4);
    push.n_heads = static_cast<uint32_t>(p.n_heads);
    push.group = static_cast<uint32_t>(p.n_heads / p.n_kv_heads);
    push.scale = p.scale;
    attend(r, push, static_cast<uint32_t>(p.n_kv_heads), r.n_bytes(o.src[0]), r.n_bytes(o.dst[0]), r.temporary_bytes(op, 0));
}

}  // namespace ponder::vk
