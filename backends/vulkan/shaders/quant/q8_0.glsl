// SPDX-License-Identifier: Apache-2.0
// Q8_0. Plane 0: 32 bytes a unit; plane 1: half d.
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    const uvec4 low = w.v[g * 2], high = w.v[g * 2 + 1];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        q[i] = low[i];
        q[4 + i] = high[i];
    }
    scale = vec2(half_at(w, pc.plane1, g));
    offset = vec2(0.0);
}
#include "codes.glsl"
