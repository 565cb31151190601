#version 450
// SPDX-License-Identifier: Apache-2.0
// SwiGLU (arXiv 2002.05202), sums and gathers of rows.
#include "common.glsl"
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint KIND = 0;  // 0: dst = silu(a) * b; 1: dst = a + b; 2: dst = row rows[r] of a
layout(push_constant) uniform Elementwise {
    Floats a, b, dst;
    Words rows;
    uint width, a_stride, b_stride, dst_stride;
} pc;

void main() {
    const uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
    if (i >= pc.width) return;
    float v;
    if (KIND == 2) {
        v = pc.a.v[pc.rows.v[row] * pc.a_stride + i];
    } else {
        const float a = pc.a.v[row * pc.a_stride + i], b = pc.b.v[row * pc.b_stride + i];
        v = KIND == 0 ? a / (1.0 + exp(-a)) * b : a + b;
    }
    pc.dst.v[row * pc.dst_stride + i] = v;
}
