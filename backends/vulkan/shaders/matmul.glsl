// SPDX-License-Identifier: Apache-2.0
// Products of many source rows in float32: tiles of 64 matrix rows and 64 source rows, 32 columns at a time in 16 KiB of shared memory.
layout(local_size_x = 256) in;
layout(constant_id = 5) const bool IS_ADDED = false;

shared vec4 weights[32 * 16];  // [32 columns][64 matrix rows]
shared vec4 sources[32 * 16];  // [32 columns][64 source rows]

void stage_weights(uint first, uint row0, uint unit, uint thread) {
    vec4 q[8];
    vec2 scale, offset;
    decode_unit(pc.weight, (row0 + min(first + thread, pc.n_out - 1)) * pc.units + unit, q, scale, offset);
    [[unroll]] for (uint i = 0; i < 8; i++) {
        vec4 w = q[i] * scale[i / 4];
#ifdef HAS_OFFSET
        w += offset[i / 4];
#endif
        [[unroll]] for (uint j = 0; j < 4; j++) weights[(4 * i + j) * 16 + thread / 4][thread % 4] = w[j];
    }
}

void main() {
    const uint thread = gl_LocalInvocationIndex, batch = gl_WorkGroupID.z;
    const uint first = gl_WorkGroupID.x * 64, first_source = gl_WorkGroupID.y * 64;
    const uint row0 = batch * pc.slice_rows + pc.first_row;
    const uint src0 = batch / pc.src_div * pc.src_batch;
    const uint x = thread % 16, y = thread / 16;  // the thread's 4 x 4 results

    vec4 sums[4];  // [source row] of four matrix rows
    [[unroll]] for (uint i = 0; i < 4; i++) sums[i] = vec4(0.0);
    for (uint unit = 0; unit < pc.units; unit++) {
        barrier();
        if (thread < 64) {
            stage_weights(first, row0, unit, thread);
        } else {
            for (uint i = thread - 64; i < 512; i += 192) {
                const uint r = i / 8, k = unit * 32 + i % 8 * 4;
                vec4 v = vec4(0.0);
                if (first_source + r < pc.n_rows) {
                    const uint at = src0 + (first_source + r) * pc.src_stride + k;
                    if (k + 3 < pc.n_in) {
                        v = Vec4s(pc.src).v[at / 4];
                    } else {
                        [[unroll]] for (uint j = 0; j < 4; j++) {
                            if (k + j < pc.n_in) v[j] = pc.src.v[at + j];
                        }
                    }
                }
                [[unroll]] for (uint j = 0; j < 4; j++) sources[(i % 8 * 4 + j) * 16 + r / 4][r % 4] = v[j];
            }
        }
        barrier();
        for (uint k = 0; k < 32; k++) {
            const vec4 w = weights[k * 16 + x], s = sources[k * 16 + y];
            [[unroll]] for (uint i = 0; i < 4; i++) sums[i] += s[i] * w;
        }
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint r = first_source + 4 * y + i;
        if (r >= pc.n_rows) break;
        [[unroll]] for (uint j = 0; j < 4; j++) {
            const uint column = first + 4 * x + j;
            if (column >= pc.n_out) break;
            float result = sums[i][j];
            if (uvec2(pc.bias) != uvec2(0)) result += pc.bias.v[column];
            const uint at = batch * pc.dst_batch + r * pc.dst_stride + column;
            if (IS_ADDED) result += pc.dst.v[at];
            pc.dst.v[at] = result;
        }
    }
}
