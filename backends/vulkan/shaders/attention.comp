#version 450
// SPDX-License-Identifier: Apache-2.0
// One row's query heads that share a key head, or some of them, over one part of the sequence: softmax(scale * q . K) . V with a running
// maximum (Milakov, Gimelshein 2018), 32 tokens at a time. Parts leave what attention_merge.comp joins. Latent attention comes here with
// its cached rows as keys and as values.
#include "common.glsl"
#include "kv.glsl"
layout(local_size_x = 128) in;
layout(constant_id = 1) const uint HEADS = 1;
layout(constant_id = 2) const uint V_PER_THREAD = 1;
layout(constant_id = 3) const bool IS_VECTOR = false;  // all dims are multiples of 4
layout(constant_id = 4) const uint K_QUADS = 1;        // key elements / 4, rounded up

layout(push_constant) uniform Attention {
    Floats q, dst, parts;  // parts: [n_rows, n_heads, n_parts, v_dim + 2]
    RunHeader header;
    Words positions, first_pages;  // [n_rows]
    uint q_stride, dst_stride;
    uint k_dim, v_dim, k_width, v_width, k_base, v_base;
    uint n_heads, group, n_parts;
    uint dst_head;  // floats from head to head
    float scale;
} pc;

const uint THREADS = 128, TILE = 32, LANES = 4;
shared vec4 query[HEADS * K_QUADS];
shared float scores[HEADS * (TILE + 1)];
shared float lane_scores[HEADS * TILE * LANES];
shared float tops[HEADS];

void main() {
    const uint thread = gl_LocalInvocationIndex, row = gl_WorkGroupID.y, part = gl_WorkGroupID.z;
    const uint n_chunks = (pc.group + HEADS - 1) / HEADS;
    const uint kv_head = gl_WorkGroupID.x / n_chunks, in_group = gl_WorkGroupID.x % n_chunks * HEADS;
    const uint first_head = kv_head * pc.group + in_group, n_heads = min(HEADS, pc.group - in_group);
    const uint n_past = pc.positions.v[row] + 1, first_page = pc.first_pages.v[row];
    const uint part_tokens = (n_past + pc.n_parts * TILE - 1) / (pc.n_parts * TILE) * TILE;
    const uint begin = part * part_tokens, end = min(n_past, begin + part_tokens);

    for (uint i = thread; i < HEADS * K_QUADS * 4; i += THREADS) {
        const uint h = i / (K_QUADS * 4), e = i % (K_QUADS * 4);
        const bool is_there = h < n_heads && e < pc.k_dim;
        query[i / 4][i % 4] = is_there ? pc.scale * pc.q.v[row * pc.q_stride + (first_head + h) * pc.k_dim + e] : 0.0;
    }
    if (thread < HEADS) tops[thread] = uintBitsToFloat(0xff800000u);
    float sums[HEADS * V_PER_THREAD], totals[HEADS];
    [[unroll]] for (uint i = 0; i < HEADS * V_PER_THREAD; i++) sums[i] = 0.0;
    [[unroll]] for (uint h = 0; h < HEADS; h++) totals[h] = 0.0;
    barrier();

    for (uint t0 = begin; t0 < end; t0 += TILE) {
        const uint lane = thread % LANES, mine = thread / LANES, token = t0 + mine;
        float s[HEADS];
        [[unroll]] for (uint h = 0; h < HEADS; h++) s[h] = 0.0;
        if (token < end) {
            Words page = page_of(pc.header, first_page, token);
            const uint slot = token % PAGE_TOKENS;
            if (IS_VECTOR) {
                for (uint e = 4 * lane; e < pc.k_dim; e += 4 * LANES) {
                    const vec4 k = kv_load4(page, pc.k_base, slot, pc.k_width, kv_head * pc.k_dim + e);
                    [[unroll]] for (uint h = 0; h < HEADS; h++) s[h] += dot(k, query[h * K_QUADS + e / 4]);
                }
            } else {
                for (uint e = lane; e < pc.k_dim; e += LANES) {
                    const float k = kv_load(page, pc.k_base, slot, pc.k_width, kv_head * pc.k_dim + e);
                    [[unroll]] for (uint h = 0; h < HEADS; h++) s[h] += k * query[h * K_QUADS + e / 4][e % 4];
                }
            }
        }
        [[unroll]] for (uint h = 0; h < HEADS; h++) lane_scores[(h * TILE + mine) * LANES + lane] = s[h];
        barrier();
        const uint n_tokens = min(TILE, end - t0);
        for (uint i = thread; i < HEADS * TILE; i += THREADS) {
            const float score = lane_scores[i * 4] + lane_scores[i * 4 + 1] + lane_scores[i * 4 + 2] + lane_scores[i * 4 + 3];
            scores[i / TILE * (TILE + 1) + i % TILE] = i % TILE < n_tokens ? score : uintBitsToFloat(0xff800000u);
        }
        barrier();
        float rescale[HEADS], top[HEADS];
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            top[h] = tops[h];
            rescale[h] = top[h];
            for (uint t = 0; t < n_tokens; t++) top[h] = max(top[h], scores[h * (TILE + 1) + t]);
            rescale[h] = exp(rescale[h] - top[h]);
        }
        barrier();
        for (uint i = thread; i < HEADS * TILE; i += THREADS) {
            const uint h = i / TILE, at = h * (TILE + 1) + i % TILE;
            float highest = top[0];
            [[unroll]] for (uint j = 1; j < HEADS; j++) highest = h == j ? top[j] : highest;
            scores[at] = exp(scores[at] - highest);
        }
        if (thread < HEADS) {
            [[unroll]] for (uint j = 0; j < HEADS; j++) {
                if (thread == j) tops[j] = top[j];
            }
        }
        barrier();
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            totals[h] *= rescale[h];
            [[unroll]] for (uint i = 0; i < V_PER_THREAD; i++) sums[h * V_PER_THREAD + i] *= rescale[h];
        }
        Words page = page_of(pc.header, first_page, t0);  // a tile lies in one page, since parts begin with tiles
        for (uint t = 0; t < n_tokens; t++) {
            float v[V_PER_THREAD];
            [[unroll]] for (uint i = 0; i < V_PER_THREAD; i++) {
                const uint e = thread + i * THREADS;
                v[i] = e < pc.v_dim ? kv_load(page, pc.v_base, t, pc.v_width, kv_head * pc.v_dim + e) : 0.0;
            }
            [[unroll]] for (uint h = 0; h < HEADS; h++) {
                const float weight = scores[h * (TILE + 1) + t];
                totals[h] += weight;
                [[unroll]] for (uint i = 0; i < V_PER_THREAD; i++) sums[h * V_PER_THREAD + i] += weight * v[i];
            }
        }
        barrier();
    }

    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        if (h >= n_heads) break;
        const uint head = first_head + h, part0 = ((row * pc.n_heads + head) * pc.n_parts + part) * (pc.v_dim + 2);
        [[unroll]] for (uint i = 0; i < V_PER_THREAD; i++) {
            const uint e = thread + i * THREADS;
            if (e >= pc.v_dim) break;
            if (pc.n_parts == 1) {
                pc.dst.v[row * pc.dst_stride + head * pc.dst_head + e] = sums[h * V_PER_THREAD + i] / totals[h];
            } else {
                pc.parts.v[part0 + e] = sums[h * V_PER_THREAD + i];
            }
        }
        if (pc.n_parts > 1 && thread == 0) {
            pc.parts.v[part0 + pc.v_dim] = tops[h];
            pc.parts.v[part0 + pc.v_dim + 1] = totals[h];
        }
    }
}
