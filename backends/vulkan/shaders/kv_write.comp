#version 450
// SPDX-License-Identifier: Apache-2.0
// Appends rows of keys or values to the cache, a piece a thread: one element of F32, two of F16, a block of Q8_0. Keys may be rotated on
// their way (rope.comp).
#include "common.glsl"
#include "kv.glsl"
layout(local_size_x = 64) in;
layout(push_constant) uniform KvWrite {
    Floats src[2];       // keys, values
    RunHeader header;
    Words positions, first_pages;  // [n_rows]
    Floats angles;  // null: keys are as they shall be
    uint stride[2], width[2], base[2];
    uint head_dim, n_before, n_pairs, is_adjacent;
} pc;

float element(uint row, uint part, uint e) {
    const uint row0 = row * pc.stride[part];
    const float x = pc.src[part].v[row0 + e];
    if (part != 0 || uvec2(pc.angles) == uvec2(0)) return x;
    const uint i = e % pc.head_dim - pc.n_before;  // of what lies before, a huge number
    if (i >= 2 * pc.n_pairs) return x;
    const bool is_adjacent = pc.is_adjacent != 0, is_second = is_adjacent ? i % 2 == 1 : i >= pc.n_pairs;
    const uint pair = is_adjacent ? i / 2 : i % pc.n_pairs, apart = is_adjacent ? 1 : pc.n_pairs;
    const float y = pc.src[part].v[row0 + (is_second ? e - apart : e + apart)];
    const float c = pc.angles.v[2 * (row * pc.n_pairs + pair)], s = pc.angles.v[2 * (row * pc.n_pairs + pair) + 1];
    return is_second ? y * s + x * c : x * c - y * s;
}

void main() {
    const uint piece = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, part = gl_WorkGroupID.z;
    const uint width = pc.width[part], base = pc.base[part];
    const uint length = KV_TYPE == 0 ? 1 : KV_TYPE == 1 ? 2 : 32;
    if (piece * length >= width) return;
    const uint position = pc.positions.v[row], slot = position % PAGE_TOKENS;
    Words page = page_of(pc.header, pc.first_pages.v[row], position);
    const uint from = piece * length;
    if (KV_TYPE == 0) {
        page.v[base + slot * width + piece] = floatBitsToUint(element(row, part, from));
    } else if (KV_TYPE == 1) {
        page.v[base + (slot * width) / 2 + piece] = packHalf2x16(vec2(element(row, part, from), element(row, part, from + 1)));
    } else {
        float values[32], extreme = 0.0;
        for (uint i = 0; i < 32; i++) {
            values[i] = element(row, part, from + i);
            extreme = max(extreme, abs(values[i]));
        }
        const uint half_bits = packHalf2x16(vec2(min(extreme / 127.0, 65504.0), 0.0));
        const float d = unpackHalf2x16(half_bits).x, inverse = d > 0.0 ? 1.0 / d : 0.0;
        for (uint i = 0; i < 8; i++) {
            uint word = 0;
            for (uint j = 0; j < 4; j++) {
                const int q = int(clamp(roundEven(values[4 * i + j] * inverse), -127.0, 127.0));
                word |= (uint(q) & 255u) << (8 * j);
            }
            page.v[base + (slot * width) / 4 + piece * 8 + i] = word;
        }
        // Two scales share a word with each other or with a neighbouring row's: each half is set on its own.
        const uint i = slot * (width / 32) + piece, at = base + PAGE_TOKENS * width / 4 + i / 2, shift = 16 * (i % 2);
        atomicAnd(page.v[at], ~(65535u << shift));
        atomicOr(page.v[at], half_bits << shift);
    }
}
