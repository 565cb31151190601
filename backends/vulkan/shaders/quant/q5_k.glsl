// SPDX-License-Identifier: Apache-2.0
// Q5_K. Plane 0: 16 bytes of nibbles a unit; plane 1: the 16 bytes of scales for each 8 units; plane 2: 32 fifth bits a unit.
#include "packed_scales.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    split_nibbles(w.v[g], q);
    add_bits(word_at(w, pc.plane2, g), 16.0, q);
    decode_scales(w.v[pc.plane1 + g / 8], g % 8, scale, offset);
}
