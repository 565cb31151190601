// SPDX-License-Identifier: Apache-2.0
// IQ4_XS. Plane 0: 16 bytes of nibbles a unit; plane 1: for each 8 units half d, u16 bits 4-5 and 8 nibbles bits 0-3 of the scales.
#include "iq4_levels.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    look_up(w.v[g], q);
    const uvec2 header = Pairs(w).v[pc.plane1 * 2 + g / 8];
    const uint group = g % 8, s = (header.y >> (4 * group) & 15u) | (header.x >> (16 + 2 * group) & 3u) << 4;
    scale = vec2(unpackHalf2x16(header.x).x * float(int(s) - 32));
    offset = vec2(0.0);
}
