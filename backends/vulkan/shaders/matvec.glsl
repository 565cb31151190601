// SPDX-License-Identifier: Apache-2.0
// Products of few source rows: memory-bound, so every weight is read once, 16 bytes a lane, and each workgroup keeps the source rows in
// shared memory. A team of lanes takes ROWS rows of the matrix; lanes stride over a row's units.
// With HAS_CODES and INT_DOT, source rows are rounded to int8, 32 elements a scale, and multiplied with the weights' codes as integers.
#ifdef INT_DOT
#extension GL_EXT_integer_dot_product : require
#extension GL_KHR_shader_subgroup_clustered : require
#endif
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 256;
layout(constant_id = 1) const uint ROWS = 2;
layout(constant_id = 2) const uint COLS = 1;     // source rows at once
layout(constant_id = 3) const uint CHUNK = 64;   // units of the source rows in shared memory at once
layout(constant_id = 4) const bool IS_GATED = false;
layout(constant_id = 5) const bool IS_ADDED = false;
layout(constant_id = 6) const bool HAS_NORM = false;
layout(constant_id = 7) const bool HAS_EXPERTS = false;
layout(constant_id = 8) const uint LANES = 32;    // of a team

const uint TEAMS = THREADS / LANES;
const uint MATRICES = IS_GATED ? 2 : 1;
#ifdef INT_DOT
// A unit: 32 codes, and the scale, with the scaled sums of each 16 codes.
const uint UNIT_STRIDE = 3;
shared uvec4 staged[COLS * CHUNK * UNIT_STRIDE];
#else
// Nine vec4 a unit instead of eight: lanes that read their units' same element would otherwise meet in one bank.
const uint UNIT_STRIDE = 9;
shared vec4 staged[COLS * CHUNK * UNIT_STRIDE];
#endif
shared float partial[TEAMS * ROWS * MATRICES * (LANES + 1)];

float sums[MATRICES * ROWS * COLS];  // [matrix][row][column]; not passed on as an argument, which old optimisers get wrong

vec4 load_source(uint at, uint k) {
    if (k + 3 < pc.n_in) return Vec4s(pc.src).v[(at + k) / 4];
    vec4 x = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (k + i < pc.n_in) x[i] = pc.src.v[at + k + i];
    }
    return x;
}

vec4 load_norm(uint k) {
    vec4 w = vec4(0.0);
    if (k + 3 < pc.n_in) return Vec4s(pc.norm).v[k / 4];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (k + i < pc.n_in) w[i] = pc.norm.v[k + i];
    }
    return w;
}

// 1 / sqrt(mean(x^2) + epsilon) of the source row at `at`; all threads get it.
float norm_scale(uint at) {
    float sum = 0.0;
    for (uint k = 4 * gl_LocalInvocationIndex; k < pc.n_in; k += 4 * THREADS) {
        const vec4 x = load_source(at, k);
        sum += dot(x, x);
    }
    barrier();
    partial[gl_LocalInvocationIndex] = sum;
    barrier();
    // In two steps: one thread's sum of all would take each workgroup a microsecond.
    float part = 0.0;
    if (gl_LocalInvocationIndex < THREADS / 16) {
        [[unroll]] for (uint i = 0; i < 16; i++) part += partial[gl_LocalInvocationIndex * 16 + i];
    }
    barrier();
    if (gl_LocalInvocationIndex < THREADS / 16) partial[gl_LocalInvocationIndex] = part;
    barrier();
    float total = 0.0;
    [[unroll]] for (uint i = 0; i < THREADS / 16; i++) total += partial[i];
    return inversesqrt(total / float(pc.n_in) + pc.epsilon);
}

#ifdef INT_DOT
// Elements 4 * part to 4 * part + 3 of a unit. The eight threads of a unit are neighbours in one subgroup.
void stage(uint at, uint part, vec4 x) {
    const vec4 size = abs(x);
    const float top = subgroupClusteredMax(max(max(size.x, size.y), max(size.z, size.w)), 8);
    const ivec4 codes = ivec4(roundEven(x * (top > 0.0 ? 127.0 / top : 0.0)));
    const float scale = top / 127.0, sum = scale * float(subgroupClusteredAdd(codes.x + codes.y + codes.z + codes.w, 4));
    const uvec4 bytes = uvec4(codes) & 255u;
    staged[at + part / 4][part % 4] = bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24;
    if (part == 0) staged[at + 2].x = floatBitsToUint(scale);
    if (part % 4 == 0) staged[at + 2][1 + part / 4] = floatBitsToUint(sum);
}

void add_unit(Quads weight, uint g, uint unit, uint first_sum) {
    uint q[8];
    vec2 scale, offset;
    decode_codes(weight, g, q, scale, offset);
    [[unroll]] for (uint c = 0; c < COLS; c++) {
        const uint at = (c * CHUNK + unit) * UNIT_STRIDE;
        const uvec4 a = staged[at], b = staged[at + 1];
        const vec4 of_unit = uintBitsToFloat(staged[at + 2]);
        int low = 0, high = 0;
        [[unroll]] for (uint i = 0; i < 4; i++) {
            low += dotPacked4x8EXT(int(q[i]), int(a[i]));
            high += dotPacked4x8EXT(int(q[4 + i]), int(b[i]));
        }
        float sum = of_unit.x * dot(vec2(low, high), scale);
#ifdef HAS_OFFSET
        sum += dot(of_unit.yz, offset);
#endif
        sums[first_sum + c] += sum;
    }
}
#else
void stage(uint at, uint part, vec4 x) { staged[at + part] = x; }

void add_unit(Quads weight, uint g, uint unit, uint first_sum) {
    vec4 q[8];
    vec2 scale, offset;
    decode_unit(weight, g, q, scale, offset);
    [[unroll]] for (uint c = 0; c < COLS; c++) {
        const uint at = (c * CHUNK + unit) * UNIT_STRIDE;
        vec2 d = vec2(0.0);
#ifdef HAS_OFFSET
        vec4 low = vec4(0.0), high = vec4(0.0);
#endif
        [[unroll]] for (uint i = 0; i < 4; i++) {
            const vec4 a = staged[at + i], b = staged[at + 4 + i];
            d.x += dot(q[i], a);
            d.y += dot(q[4 + i], b);
#ifdef HAS_OFFSET
            low += a;
            high += b;
#endif
        }
        float sum = dot(d, scale);
#ifdef HAS_OFFSET
        sum += offset.x * (low.x + low.y + low.z + low.w) + offset.y * (high.x + high.y + high.z + high.w);
#endif
        sums[first_sum + c] += sum;
    }
}
#endif

void main() {
    const uint thread = gl_LocalInvocationIndex, lane = thread % LANES, team = thread / LANES;
    const uint batch = gl_WorkGroupID.y, first_col = gl_WorkGroupID.z * COLS;
    const uint first = (gl_WorkGroupID.x * TEAMS + team) * ROWS;
    const uint slice = HAS_EXPERTS ? uint(pc.experts.v[batch]) : batch;
    const uint row0 = slice * pc.slice_rows + pc.first_row;
    const uint src0 = batch / pc.src_div * pc.src_batch + first_col * pc.src_stride;

    float scales[COLS];
    [[unroll]] for (uint c = 0; c < COLS; c++) {
        scales[c] = 1.0;
        if (HAS_NORM && first_col + c < pc.n_rows) scales[c] = norm_scale(src0 + c * pc.src_stride);
    }
    [[unroll]] for (uint i = 0; i < MATRICES * ROWS * COLS; i++) sums[i] = 0.0;

    for (uint begin = 0; begin < pc.units; begin += CHUNK) {
        const uint n_units = min(CHUNK, pc.units - begin);
        barrier();
        [[unroll]] for (uint c = 0; c < COLS; c++) {
            for (uint i = thread; i < n_units * 8; i += THREADS) {
                const uint k = (begin * 8 + i) * 4;
                vec4 x = first_col + c < pc.n_rows ? load_source(src0 + c * pc.src_stride, k) : vec4(0.0);
                if (HAS_NORM) x *= scales[c] * load_norm(k);
                stage((c * CHUNK + i / 8) * UNIT_STRIDE, i % 8, x);
            }
        }
        barrier();
        for (uint u = lane; u < n_units; u += LANES) {
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint g = (row0 + min(first + r, pc.n_out - 1)) * pc.units + begin + u;
                add_unit(pc.weight, g, u, r * COLS);
                if (IS_GATED) add_unit(pc.gated, g + pc.gated_rows * pc.units, u, (ROWS + r) * COLS);
            }
        }
    }

    const uint n_results = ROWS * MATRICES, results0 = team * n_results * (LANES + 1);
    [[unroll]] for (uint c = 0; c < COLS; c++) {
        barrier();
        [[unroll]] for (uint i = 0; i < n_results; i++) partial[results0 + i * (LANES + 1) + lane] = sums[i * COLS + c];
        barrier();
        if (lane >= ROWS || first + lane >= pc.n_out || first_col + c >= pc.n_rows) continue;
        float result = 0.0, up = 0.0;
        [[unroll]] for (uint i = 0; i < LANES; i++) result += partial[results0 + lane * (LANES + 1) + i];
        if (IS_GATED) {
            [[unroll]] for (uint i = 0; i < LANES; i++) up += partial[results0 + (ROWS + lane) * (LANES + 1) + i];
            result = result / (1.0 + exp(-result)) * up;
        }
        if (uvec2(pc.bias) != uvec2(0)) result += pc.bias.v[first + lane];
        const uint at = batch * pc.dst_batch + (first_col + c) * pc.dst_stride + first + lane;
        if (IS_ADDED) result += pc.dst.v[at];
        pc.dst.v[at] = result;
    }
}
