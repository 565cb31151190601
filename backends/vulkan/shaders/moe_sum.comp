#version 450
// SPDX-License-Identifier: Apache-2.0
// A row's sum of what its experts gave, each times its weight.
#include "common.glsl"
layout(local_size_x = 256) in;
layout(push_constant) uniform Sum {
    Floats results, weights, dst;  // results: [n_rows * n_used, results_stride]
    uint width, n_used, results_stride, weights_stride, dst_stride;
} pc;

void main() {
    const uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
    if (i >= pc.width) return;
    float sum = 0.0;
    for (uint k = 0; k < pc.n_used; k++)
        sum += pc.weights.v[row * pc.weights_stride + k] * pc.results.v[(row * pc.n_used + k) * pc.results_stride + i];
    pc.dst.v[row * pc.dst_stride + i] = sum;
}
