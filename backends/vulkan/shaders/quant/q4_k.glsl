// SPDX-License-Identifier: Apache-2.0
// Q4_K. Plane 0: 16 bytes of nibbles a unit; plane 1: the 16 bytes of scales for each 8 units.
#include "packed_scales.glsl"
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    split_codes(w.v[g], q);
    decode_scales(w.v[pc.plane1 + g / 8], g % 8, scale, offset);
}
#include "codes.glsl"
