#version 450
// SPDX-License-Identifier: Apache-2.0
// RMSNorm (arXiv 1910.07467) of one group of a row a workgroup; adds `delta` first where there is one, in place of the source.
#include "common.glsl"
layout(local_size_x = 256) in;
layout(push_constant) uniform Norm {
    Floats x, delta, dst, weight;
    uint size, x_stride, delta_stride, dst_stride;
    float epsilon;
} pc;
shared float partial[256];

void main() {
    const uint thread = gl_LocalInvocationIndex, first = gl_WorkGroupID.x * pc.size, row = gl_WorkGroupID.y;
    const uint x0 = row * pc.x_stride + first, dst0 = row * pc.dst_stride + first;
    const bool has_delta = uvec2(pc.delta) != uvec2(0);
    float sum = 0.0;
    for (uint i = thread; i < pc.size; i += 256) {
        float v = pc.x.v[x0 + i];
        if (has_delta) {
            v += pc.delta.v[row * pc.delta_stride + first + i];
            pc.x.v[x0 + i] = v;
        }
        sum += v * v;
    }
    partial[thread] = sum;
    for (uint n = 128; n > 0; n /= 2) {
        barrier();
        if (thread < n) partial[thread] += partial[thread + n];
    }
    barrier();
    const float scale = inversesqrt(partial[0] / float(pc.size) + pc.epsilon);
    // Each thread reads what it wrote itself.
    for (uint i = thread; i < pc.size; i += 256) pc.dst.v[dst0 + i] = pc.x.v[x0 + i] * scale * pc.weight.v[i];
}
