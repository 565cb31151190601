// SPDX-License-Identifier: Apache-2.0
// Q4_0. Plane 0: 16 bytes of nibbles a unit; plane 1: half d.
#define HAS_OFFSET
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    split_codes(w.v[g], q);
    scale = vec2(half_at(w, pc.plane1, g));
    offset = -8.0 * scale;
}
#include "codes.glsl"
