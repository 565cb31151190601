// SPDX-License-Identifier: Apache-2.0
// Products of many source rows with cooperative matrices, KHR's or with NV those of the older extension: both operands narrowed to half floats
// in shared memory, summed in float32. Several workgroups on one core hide each other's loads, so there is one buffer a workgroup, not two.
#include "tiles.glsl"

#ifdef NV
#extension GL_NV_cooperative_matrix : require
#define LEFT fcoopmatNV<16, gl_ScopeSubgroup, M, K>
#define RIGHT fcoopmatNV<16, gl_ScopeSubgroup, K, N>
#define SUMS fcoopmatNV<32, gl_ScopeSubgroup, M, N>
#define LOAD coopMatLoadNV
#define STORE coopMatStoreNV
#define MULTIPLY_ADD coopMatMulAddNV
#define ROWS false
#define COLUMNS true
#else
#extension GL_KHR_cooperative_matrix : require
#define LEFT coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define RIGHT coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define SUMS coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define LOAD coopMatLoad
#define STORE coopMatStore
#define MULTIPLY_ADD coopMatMulAdd
#define ROWS gl_CooperativeMatrixLayoutRowMajor
#define COLUMNS gl_CooperativeMatrixLayoutColumnMajor
#endif
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(constant_id = 0) const uint UNITS = 4;      // units of 32 columns a step: 2 or 4
layout(constant_id = 1) const uint M = 16;         // a fragment's sizes
layout(constant_id = 2) const uint N = 16;
layout(constant_id = 3) const uint K = 16;
layout(constant_id = 4) const uint FRAGMENTS = 2;  // of a subgroup: neighbours along the source rows

// In pairs of halves; eight halves more than the columns, so that rows do not begin in one bank.
const uint STRIDE = UNITS * 16 + 4;
shared uint weights[TILE * STRIDE];
shared uint sources[TILE * STRIDE];
shared float results[256 / 32 * 32 * 8];  // a fragment of each subgroup

uvec2 narrow(vec4 v) {
    const f16vec4 n = f16vec4(clamp_to_half(v));
    return uvec2(packFloat2x16(n.xy), packFloat2x16(n.zw));
}

void stage_weights(uint first, uint row0, uint begin, uint thread) {
    const uint r = thread / UNITS, unit = thread % UNITS, at = r * STRIDE + unit * 16;
    vec4 w[8];
    widen_unit(row0 + min(first + r, pc.n_out - 1), begin + unit, w);
    [[unroll]] for (uint i = 0; i < 8; i++) {
        const uvec2 n = narrow(w[i]);
        weights[at + 2 * i] = n.x;
        weights[at + 2 * i + 1] = n.y;
    }
}

void main() {
    const uint thread = gl_LocalInvocationIndex, batch = gl_WorkGroupID.z;
    const uint first = gl_WorkGroupID.x * TILE, first_source = gl_WorkGroupID.y * TILE;
    const uint row0 = batch * pc.slice_rows + pc.first_row;
    const uint src0 = batch / pc.src_div * pc.src_batch;
    const uint across = TILE / M;
    const uint m = gl_SubgroupID % across * M, n0 = gl_SubgroupID / across * FRAGMENTS * N;

    SUMS sums[FRAGMENTS];
    [[unroll]] for (uint i = 0; i < FRAGMENTS; i++) sums[i] = SUMS(0.0);

    for (uint begin = 0; begin < pc.units; begin += UNITS) {
        barrier();
        if (thread < TILE * UNITS) stage_weights(first, row0, begin, thread);
        [[unroll]] for (uint i = thread; i < TILE * UNITS * 8; i += 256) {
            const uint r = i / (UNITS * 8), quad = i % (UNITS * 8);
            const uvec2 n = narrow(load_source(first_source + r, src0 + (first_source + r) * pc.src_stride, begin * 32 + quad * 4));
            sources[r * STRIDE + quad * 2] = n.x;
            sources[r * STRIDE + quad * 2 + 1] = n.y;
        }
        barrier();
        for (uint k = 0; k < UNITS * 32; k += K) {
            LEFT a;
            LOAD(a, weights, m * STRIDE + k / 2, STRIDE, ROWS);
            [[unroll]] for (uint i = 0; i < FRAGMENTS; i++) {
                RIGHT b;
                LOAD(b, sources, (n0 + i * N) * STRIDE + k / 2, STRIDE, COLUMNS);
                sums[i] = MULTIPLY_ADD(a, b, sums[i]);
            }
        }
    }

    const uint mine = gl_SubgroupID * M * N;
    [[unroll]] for (uint i = 0; i < FRAGMENTS; i++) {
        barrier();
        STORE(sums[i], results, mine, M, COLUMNS);
        barrier();
        for (uint e = gl_SubgroupInvocationID; e < M * N; e += gl_SubgroupSize)
            store_result(batch, first_source + n0 + i * N + e / M, first + m + e % M, results[mine + e]);
    }
}
