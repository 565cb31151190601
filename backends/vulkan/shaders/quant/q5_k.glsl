// SPDX-License-Identifier: Apache-2.0
// Q5_K. Plane 0: 16 bytes of nibbles a unit; plane 1: the 16 bytes of scales for each 8 units; plane 2: 32 fifth bits a unit.
#include "packed_scales.glsl"
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    split_codes(w.v[g], q);
    add_code_bits(word_at(w, pc.plane2, g), 4, q);
    decode_scales(w.v[pc.plane1 + g / 8], g % 8, scale, offset);
}
#include "codes.glsl"
