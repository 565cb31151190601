// SPDX-License-Identifier: Apache-2.0
// What all products of many source rows have in common: tiles of 64 matrix rows and 64 source rows, a workgroup each, whose operands lie in
// shared memory for some columns at a time.
layout(local_size_x = 256) in;
layout(constant_id = 5) const bool IS_ADDED = false;

const uint TILE = 64;

// Four at a time, the elements of a row of the matrix: unit number `unit` of `row`, or zeros behind the row's end.
void widen_unit(uint row, uint unit, out vec4 w[8]) {
    if (unit >= pc.units) {
        [[unroll]] for (uint i = 0; i < 8; i++) w[i] = vec4(0.0);
        return;
    }
    vec2 scale, offset;
    decode_unit(pc.weight, row * pc.units + unit, w, scale, offset);
    [[unroll]] for (uint i = 0; i < 8; i++) {
        w[i] *= scale[i / 4];
#ifdef HAS_OFFSET
        w[i] += offset[i / 4];
#endif
    }
}

// Four elements of source row `row`, which begins at pc.src.v[at], from column k on; zeros behind the last row and column.
vec4 load_source(uint row, uint at, uint k) {
    vec4 v = vec4(0.0);
    if (row >= pc.n_rows) return v;
    if (k + 3 < pc.n_in) return Vec4s(pc.src).v[(at + k) / 4];
    [[unroll]] for (uint j = 0; j < 4; j++) {
        if (k + j < pc.n_in) v[j] = pc.src.v[at + k + j];
    }
    return v;
}

void store_result(uint batch, uint row, uint column, float result) {
    if (row >= pc.n_rows || column >= pc.n_out) return;
    if (uvec2(pc.bias) != uvec2(0)) result += pc.bias.v[column];
    const uint at = batch * pc.dst_batch + row * pc.dst_stride + column;
    if (IS_ADDED) result += pc.dst.v[at];
    pc.dst.v[at] = result;
}

// What a half float holds of a number.
vec4 clamp_to_half(vec4 v) { return clamp(v, -65504.0, 65504.0); }
