// SPDX-License-Identifier: Apache-2.0
// Q5_1. Plane 0: 16 bytes of nibbles a unit; plane 1: 32 fifth bits; plane 2: halves d, m.
#define HAS_OFFSET
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    split_codes(w.v[g], q);
    add_code_bits(word_at(w, pc.plane1, g), 4, q);
    const vec2 d = unpackHalf2x16(word_at(w, pc.plane2, g));
    scale = d.xx;
    offset = d.yy;
}
#include "codes.glsl"
