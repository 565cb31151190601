// SPDX-License-Identifier: Apache-2.0
// Q4_1. Plane 0: 16 bytes of nibbles a unit; plane 1: halves d, m.
#define HAS_OFFSET
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    split_codes(w.v[g], q);
    const vec2 d = unpackHalf2x16(word_at(w, pc.plane1, g));
    scale = d.xx;
    offset = d.yy;
}
#include "codes.glsl"
