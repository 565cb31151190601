// SPDX-License-Identifier: Apache-2.0
// Products of many source rows with cooperative matrices (KHR): tiles of 64 matrix rows and 64 source rows, both narrowed to half floats in
// shared memory, summed in float32. Several workgroups on one core hide each other's loads, so there is one buffer a workgroup, not two.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint UNITS = 4;      // units of 32 columns a step: 2 or 4
layout(constant_id = 1) const uint M = 16;         // a fragment's sizes
layout(constant_id = 2) const uint N = 16;
layout(constant_id = 3) const uint K = 16;
layout(constant_id = 4) const uint FRAGMENTS = 2;  // of a subgroup: neighbours along the source rows
layout(constant_id = 5) const bool IS_ADDED = false;

const uint TILE = 64;
// In pairs of halves; eight halves more than the columns, so that rows do not begin in one bank.
const uint STRIDE = UNITS * 16 + 4;
shared uint weights[TILE * STRIDE];
shared uint sources[TILE * STRIDE];
shared float results[256 / 32 * 32 * 8];  // a fragment of each subgroup

uint narrow(vec2 v) { return packFloat2x16(f16vec2(clamp(v, -65504.0, 65504.0))); }

void stage_weights(uint first, uint row0, uint begin, uint thread) {
    const uint r = thread / UNITS, unit = thread % UNITS, at = r * STRIDE + unit * 16;
    if (begin + unit >= pc.units) {
        [[unroll]] for (uint i = 0; i < 16; i++) weights[at + i] = 0;
        return;
    }
    vec4 q[8];
    vec2 scale, offset;
    decode_unit(pc.weight, (row0 + min(first + r, pc.n_out - 1)) * pc.units + begin + unit, q, scale, offset);
    [[unroll]] for (uint i = 0; i < 8; i++) {
        vec4 w = q[i] * scale[i / 4];
#ifdef HAS_OFFSET
        w += offset[i / 4];
#endif
        weights[at + 2 * i] = narrow(w.xy);
        weights[at + 2 * i + 1] = narrow(w.zw);
    }
}

vec4 load_source(uint row, uint at, uint k) {
    vec4 v = vec4(0.0);
    if (row >= pc.n_rows) return v;
    if (k + 3 < pc.n_in) return Vec4s(pc.src).v[(at + k) / 4];
    [[unroll]] for (uint j = 0; j < 4; j++) {
        if (k + j < pc.n_in) v[j] = pc.src.v[at + k + j];
    }
    return v;
}

void main() {
    const uint thread = gl_LocalInvocationIndex, batch = gl_WorkGroupID.z;
    const uint first = gl_WorkGroupID.x * TILE, first_source = gl_WorkGroupID.y * TILE;
    const uint row0 = batch * pc.slice_rows + pc.first_row;
    const uint src0 = batch / pc.src_div * pc.src_batch;
    const uint across = TILE / M;
    const uint m = gl_SubgroupID % across * M, n0 = gl_SubgroupID / across * FRAGMENTS * N;

    coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sums[FRAGMENTS];
    [[unroll]] for (uint i = 0; i < FRAGMENTS; i++) sums[i] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);

    for (uint begin = 0; begin < pc.units; begin += UNITS) {
        barrier();
        if (thread < TILE * UNITS) stage_weights(first, row0, begin, thread);
        [[unroll]] for (uint i = thread; i < TILE * UNITS * 8; i += 256) {
            const uint r = i / (UNITS * 8), quad = i % (UNITS * 8);
            const vec4 v = load_source(first_source + r, src0 + (first_source + r) * pc.src_stride, begin * 32 + quad * 4);
            sources[r * STRIDE + quad * 2] = narrow(v.xy);
            sources[r * STRIDE + quad * 2 + 1] = narrow(v.zw);
        }
        barrier();
        for (uint k = 0; k < UNITS * 32; k += K) {
            coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a;
            coopMatLoad(a, weights, m * STRIDE + k / 2, STRIDE, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint i = 0; i < FRAGMENTS; i++) {
                coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b;
                coopMatLoad(b, sources, (n0 + i * N) * STRIDE + k / 2, STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
                sums[i] = coopMatMulAdd(a, b, sums[i]);
            }
        }
    }

    const uint mine = gl_SubgroupID * M * N;
    [[unroll]] for (uint i = 0; i < FRAGMENTS; i++) {
        barrier();
        coopMatStore(sums[i], results, mine, M, gl_CooperativeMatrixLayoutColumnMajor);
        barrier();
        for (uint e = gl_SubgroupInvocationID; e < M * N; e += gl_SubgroupSize) {
            const uint column = first + m + e % M, r = first_source + n0 + i * N + e / M;
            if (column >= pc.n_out || r >= pc.n_rows) continue;
            float result = results[mine + e];
            if (uvec2(pc.bias) != uvec2(0)) result += pc.bias.v[column];
            const uint at = batch * pc.dst_batch + r * pc.dst_stride + column;
            if (IS_ADDED) result += pc.dst.v[at];
            pc.dst.v[at] = result;
        }
    }
}
