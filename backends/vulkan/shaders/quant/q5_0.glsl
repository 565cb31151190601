// SPDX-License-Identifier: Apache-2.0
// Q5_0. Plane 0: 16 bytes of nibbles a unit; plane 1: 32 fifth bits; plane 2: half d.
#define HAS_OFFSET
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    split_codes(w.v[g], q);
    add_code_bits(word_at(w, pc.plane1, g), 4, q);
    scale = vec2(half_at(w, pc.plane2, g));
    offset = -16.0 * scale;
}
#include "codes.glsl"
