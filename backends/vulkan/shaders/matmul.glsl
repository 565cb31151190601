// SPDX-License-Identifier: Apache-2.0
// Products of many source rows without cooperative matrices, summed in float32 in 16 KiB of shared memory: 32 columns at a time in float32, or
// with HALVES 64 narrowed to half floats.
#include "tiles.glsl"

#ifdef HALVES
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define NUMBERS f16vec4
#define NARROW(v) f16vec4(clamp_to_half(v))
const uint UNITS = 2;  // a step
#else
#define NUMBERS vec4
#define NARROW(v) (v)
const uint UNITS = 1;
#endif

shared NUMBERS weights[UNITS * 32 * 16];  // [UNITS * 32 columns][64 matrix rows]
shared NUMBERS sources[UNITS * 32 * 16];  // [UNITS * 32 columns][64 source rows]

void stage_weights(uint first, uint row0, uint begin, uint thread) {
    const uint r = thread % TILE, unit = thread / TILE;
    vec4 w[8];
    widen_unit(row0 + min(first + r, pc.n_out - 1), begin + unit, w);
    [[unroll]] for (uint i = 0; i < 8; i++) {
        const NUMBERS n = NARROW(w[i]);
        [[unroll]] for (uint j = 0; j < 4; j++) weights[(unit * 32 + 4 * i + j) * 16 + r / 4][r % 4] = n[j];
    }
}

void main() {
    const uint thread = gl_LocalInvocationIndex, batch = gl_WorkGroupID.z;
    const uint first = gl_WorkGroupID.x * TILE, first_source = gl_WorkGroupID.y * TILE;
    const uint row0 = batch * pc.slice_rows + pc.first_row;
    const uint src0 = batch / pc.src_div * pc.src_batch;
    const uint x = thread % 16, y = thread / 16;  // the thread's 4 x 4 results
    const uint decoders = TILE * UNITS;           // threads that stage weights; the others stage sources

    vec4 sums[4];  // [source row] of four matrix rows
    [[unroll]] for (uint i = 0; i < 4; i++) sums[i] = vec4(0.0);
    for (uint begin = 0; begin < pc.units; begin += UNITS) {
        barrier();
        if (thread < decoders) {
            stage_weights(first, row0, begin, thread);
        } else {
            for (uint i = thread - decoders; i < TILE * UNITS * 8; i += 256 - decoders) {
                const uint r = i / (UNITS * 8), quad = i % (UNITS * 8);
                const NUMBERS n =
                    NARROW(load_source(first_source + r, src0 + (first_source + r) * pc.src_stride, begin * 32 + quad * 4));
                [[unroll]] for (uint j = 0; j < 4; j++) sources[(quad * 4 + j) * 16 + r / 4][r % 4] = n[j];
            }
        }
        barrier();
        for (uint k = 0; k < UNITS * 32; k++) {
            const vec4 w = vec4(weights[k * 16 + x]), s = vec4(sources[k * 16 + y]);
            [[unroll]] for (uint i = 0; i < 4; i++) sums[i] += s[i] * w;
        }
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        [[unroll]] for (uint j = 0; j < 4; j++) store_result(batch, first_source + 4 * y + i, first + 4 * x + j, sums[i][j]);
    }
}
