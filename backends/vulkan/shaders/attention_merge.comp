#version 450
// SPDX-License-Identifier: Apache-2.0
// Joins what attention.comp leaves of the parts of a sequence: sums, relative to each part's largest score.
#include "common.glsl"
layout(local_size_x = 64) in;
layout(push_constant) uniform Merge {
    Floats parts, dst;
    uint n_heads, v_dim, n_parts, dst_stride, dst_head;
} pc;

void main() {
    const uint head = gl_WorkGroupID.x, row = gl_WorkGroupID.y, length = pc.v_dim + 2;
    const uint first = (row * pc.n_heads + head) * pc.n_parts * length;
    float top = uintBitsToFloat(0xff800000u);
    for (uint p = 0; p < pc.n_parts; p++) top = max(top, pc.parts.v[first + p * length + pc.v_dim]);
    float total = 0.0;
    for (uint p = 0; p < pc.n_parts; p++) {
        const uint at = first + p * length + pc.v_dim;
        total += exp(pc.parts.v[at] - top) * pc.parts.v[at + 1];
    }
    for (uint e = gl_LocalInvocationIndex; e < pc.v_dim; e += 64) {
        float sum = 0.0;
        for (uint p = 0; p < pc.n_parts; p++) {
            const uint at = first + p * length;
            sum += exp(pc.parts.v[at + pc.v_dim] - top) * pc.parts.v[at + e];
        }
        pc.dst.v[row * pc.dst_stride + head * pc.dst_head + e] = sum / total;
    }
}
