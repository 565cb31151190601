// SPDX-License-Identifier: Apache-2.0
// IQ4_NL. Plane 0: 16 bytes of nibbles a unit; plane 1: half d.
#include "iq4_levels.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    look_up(w.v[g], q);
    scale = vec2(half_at(w, pc.plane1, g));
    offset = vec2(0.0);
}
