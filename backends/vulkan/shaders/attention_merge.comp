#version 450
// SPDX-License-Identifier: Apache-2.0
// Joins what attention.comp leaves of the parts of a sequence: sums, relative to each part's largest score.
#include "common.glsl"
layout(local_size_x = 64) in;
layout(push_constant) uniform Merge {
    Floats parts, dst;
    Words positions;  // [n_rows]
    uint n_heads, v_dim, n_parts, dst_stride, dst_head;
} pc;

void main() {
    const uint head = gl_WorkGroupID.x, row = gl_WorkGroupID.y, length = pc.v_dim + 2;
    const uint first = (row * pc.n_heads + head) * pc.n_parts * length;
    // As attention.comp cuts the sequence; the parts after its end have nothing.
    const uint n_past = pc.positions.v[row] + 1, part_tokens = (n_past + pc.n_parts * 32 - 1) / (pc.n_parts * 32) * 32;
    const uint n_parts = (n_past + part_tokens - 1) / part_tokens;
    float top = uintBitsToFloat(0xff800000u);
    for (uint p = 0; p < n_parts; p++) top = max(top, pc.parts.v[first + p * length + pc.v_dim]);
    float total = 0.0;
    for (uint p = 0; p < n_parts; p++) {
        const uint at = first + p * length + pc.v_dim;
        total += exp(pc.parts.v[at] - top) * pc.parts.v[at + 1];
    }
    for (uint e = gl_LocalInvocationIndex; e < pc.v_dim; e += 64) {
        float sum = 0.0;
        for (uint p = 0; p < n_parts; p++) {
            const uint at = first + p * length;
            sum += exp(pc.parts.v[at + pc.v_dim] - top) * pc.parts.v[at + e];
        }
        pc.dst.v[row * pc.dst_stride + head * pc.dst_head + e] = sum / total;
    }
}
