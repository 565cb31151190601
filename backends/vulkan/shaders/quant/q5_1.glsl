// SPDX-License-Identifier: Apache-2.0
// Q5_1. Plane 0: 16 bytes of nibbles a unit; plane 1: 32 fifth bits; plane 2: halves d, m.
#define HAS_OFFSET
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    split_nibbles(w.v[g], q);
    add_bits(word_at(w, pc.plane1, g), 16.0, q);
    const vec2 d = unpackHalf2x16(word_at(w, pc.plane2, g));
    scale = d.xx;
    offset = d.yy;
}
