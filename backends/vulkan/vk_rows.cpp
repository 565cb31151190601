// SPDX-License-Identifier: Apache-2.0
// Row-wise operators: embeddings, norms, rotations, cache writes, sums, gathers, transfers.
#include "vk_recording.hpp"

namespace ponder::vk {

namespace {

struct NormPush {
    uint64_t x, delta, dst, weight;
    uint32_t size, x_stride, delta_stride, dst_stride;
    float epsilon;
};

struct RopePush {
    uint64_t x, angles;
    uint32_t stride, n_heads, head_dim, n_before, n_pairs, is_adjacent;
};

struct ElementwisePush {
    uint64_t a, b, dst, rows;
    uint32_t width, a_stride, b_stride, dst_stride;
};

struct KvWritePush {
    uint64_t src[2], header, positions, first_pages, angles;
    uint32_t stride[2], width[2], base[2];
    uint32_t head_dim, n_before, n_pairs, is_adjacent;
};

enum ElementwiseKind : uint32_t { kSwiglu = 0, kAdd = 1, kGather = 2 };

uint32_t divide_up(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

}  // namespace

uint32_t cache_type(const ponder_program& program) {
    return program.kv_type == PONDER_TYPE_F32 ? 0 : program.kv_type == PONDER_TYPE_F16 ? 1 : 2;
}

void record_embed(const Recording& r, int32_t op) {
    const int32_t dst = r.program.ops[op].dst[0];
    r.recorder.copy(r.data.memory(), r.data.embedding(op), r.scratch_memory, r.address(dst) - r.scratch_memory.address, r.n_bytes(dst));
}

void record_receive(const Recording& r, int32_t op) {
    const int32_t dst = r.program.ops[op].dst[0];
    r.recorder.copy(r.data.memory(), r.data.slot(r.program.ops[op]), r.scratch_memory, r.address(dst) - r.scratch_memory.address,
                    r.n_bytes(dst));
}

void record_send(const Recording& r, int32_t op) {
    const int32_t src = r.program.ops[op].src[0];
    r.recorder.copy(r.scratch_memory, r.address(src) - r.scratch_memory.address, r.data.sent_memory(), r.data.sent_place(r.program.ops[op]),
                    r.n_bytes(src));
    r.recorder.show_to_host();
}

void record_rms_norm(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const Merge& merge = r.merge(op);
    const int32_t x = o.src[0], dst = o.dst[0], delta = merge.is_added ? -1 : o.src[2];
    const uint32_t n_rows = r.rows(x);
    if (merge.is_foldable && n_rows <= static_cast<uint32_t>(kFewRows)) return;
    const uint32_t size = r.width(o.src[1]);
    const uint32_t end = o.params.rms_norm.n_first > 0 ? static_cast<uint32_t>(o.params.rms_norm.n_first) : r.width(x);
    const NormPush push{r.address(x), delta < 0 ? 0 : r.address(delta), r.address(dst), r.vector(o.src[1]),       size,
                        r.stride(x),  delta < 0 ? 0 : r.stride(delta),  r.stride(dst),  o.params.rms_norm.epsilon};
    r.recorder.dispatch("rms_norm", {}, push, {end / size, n_rows},
                        {delta < 0 ? r.read(x) : r.write(x), delta < 0 ? r.read(x) : r.read(delta), r.write(dst)});
}

void record_rope(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    if (r.merge(op).is_roped) return;
    const ponder_rope_params& p = o.params.rope;
    const auto n_pairs = static_cast<uint32_t>(p.n_rot / 2);
    const RopePush push{r.address(o.src[0]),
                        r.data.angles(op),
                        r.stride(o.src[0]),
                        static_cast<uint32_t>(p.n_heads),
                        static_cast<uint32_t>(p.head_dim),
                        static_cast<uint32_t>(p.n_before),
                        n_pairs,
                        p.style == PONDER_ROPE_ADJACENT};
    r.recorder.dispatch("rope", {}, push, {divide_up(push.n_heads * n_pairs, 128), r.rows(o.src[0])}, {r.write(o.src[0])});
}

void record_kv_write(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const ponder_kv_params& p = o.params.kv_write;
    const bool has_values = p.v_width > 0;
    const int32_t k = o.src[0], v = has_values ? o.src[1] : k;
    KvWritePush push{{r.address(k), r.address(v)},
                     r.data.header(),
                     r.data.positions(),
                     r.data.first_pages(),
                     0,
                     {r.stride(k), r.stride(v)},
                     {static_cast<uint32_t>(p.k_width), static_cast<uint32_t>(p.v_width)},
                     {static_cast<uint32_t>(p.k_offset / 4), static_cast<uint32_t>(p.v_offset / 4)}};
    if (const int32_t rope = r.merge(op).rope; rope >= 0) {
        const ponder_rope_params& rotation = r.program.ops[rope].params.rope;
        push.angles = r.data.angles(rope);
        push.head_dim = static_cast<uint32_t>(rotation.head_dim);
        push.n_before = static_cast<uint32_t>(rotation.n_before);
        push.n_pairs = static_cast<uint32_t>(rotation.n_rot / 2);
        push.is_adjacent = rotation.style == PONDER_ROPE_ADJACENT;
    }
    const uint32_t type = cache_type(r.program), piece = type == 0 ? 1 : type == 1 ? 2 : 32;
    const uint32_t constants[] = {type};
    r.recorder.dispatch("kv_write", constants, push,
                        {divide_up(std::max(push.width[0], push.width[1]), piece * 64), r.n_rows, has_values ? 2u : 1u},
                        {r.read(k), r.read(v), writes(kCacheAddress, 1)});
}

void record_swiglu_rows(const Recording& r, uint64_t gate, uint64_t up, uint64_t dst, uint32_t width, uint32_t stride, uint32_t n_rows) {
    const ElementwisePush push{gate, up, dst, 0, width, stride, stride, stride};
    const uint32_t constants[] = {kSwiglu};
    const uint64_t n_bytes = uint64_t{stride} * n_rows * 4;
    r.recorder.dispatch("elementwise", constants, push, {divide_up(width, 256), n_rows},
                        {reads(gate, n_bytes), reads(up, n_bytes), writes(dst, n_bytes)});
}

void record_add(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    if (r.merge(op).is_added) return;
    const int32_t x = o.src[0], delta = o.src[1];
    const ElementwisePush push{r.address(x), r.address(delta), r.address(x), 0, r.width(x), r.stride(x), r.stride(delta), r.stride(x)};
    const uint32_t constants[] = {kAdd};
    r.recorder.dispatch("elementwise", constants, push, {divide_up(push.width, 256), r.rows(x)}, {r.write(x), r.read(delta)});
}

void record_gather_rows(const Recording& r, int32_t op) {
    const ponder_op& o = r.program.ops[op];
    const int32_t src = o.src[0], dst = o.dst[0];
    const ElementwisePush push{r.address(src), 0, r.address(dst), r.data.output_rows(), r.width(dst), r.stride(src), 0, r.stride(dst)};
    const uint32_t constants[] = {kGather};
    r.recorder.dispatch("elementwise", constants, push, {divide_up(push.width, 256), r.rows(dst)}, {r.read(src), r.write(dst)});
}

}  // namespace ponder::vk
