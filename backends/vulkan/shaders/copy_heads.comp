#version 450
// SPDX-License-Identifier: Apache-2.0
// Copies a part of every head of every row to another layout.
#include "common.glsl"
layout(local_size_x = 128) in;
layout(push_constant) uniform Copy {
    Floats src, dst;
    uint size, n_heads, src_stride, dst_stride, src_head, dst_head;
} pc;

void main() {
    const uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
    if (i >= pc.size * pc.n_heads) return;
    const uint head = i / pc.size, e = i % pc.size;
    pc.dst.v[row * pc.dst_stride + head * pc.dst_head + e] = pc.src.v[row * pc.src_stride + head * pc.src_head + e];
}
