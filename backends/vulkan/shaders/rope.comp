#version 450
// SPDX-License-Identifier: Apache-2.0
// RoPE (arXiv 2104.09864) in place. The angles are the host's, computed in double: at position 100,000 a float32 angle would be off by 0.004.
#include "common.glsl"
layout(local_size_x = 128) in;
layout(push_constant) uniform Rope {
    Floats x, angles;  // angles: [n_rows, n_pairs] of cosine, sine
    uint stride, n_heads, head_dim, n_before, n_pairs, is_adjacent;
} pc;

void main() {
    const uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
    if (i >= pc.n_heads * pc.n_pairs) return;
    const uint pair = i % pc.n_pairs, first = row * pc.stride + i / pc.n_pairs * pc.head_dim + pc.n_before;
    const uint a = first + (pc.is_adjacent != 0 ? 2 * pair : pair), b = first + (pc.is_adjacent != 0 ? 2 * pair + 1 : pair + pc.n_pairs);
    const float c = pc.angles.v[2 * (row * pc.n_pairs + pair)], s = pc.angles.v[2 * (row * pc.n_pairs + pair) + 1];
    const float x = pc.x.v[a], y = pc.x.v[b];
    pc.x.v[a] = x * c - y * s;
    pc.x.v[b] = x * s + y * c;
}
