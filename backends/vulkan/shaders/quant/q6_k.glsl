// SPDX-License-Identifier: Apache-2.0
// Q6_K. Plane 0: 16 bytes of nibbles a unit; plane 1: bits 4-5, 8 bytes a unit: bit pair n of byte m is element 8n + m; plane 2: i8 scales,
// two a unit; plane 3: half d for each 8 units.
#define HAS_OFFSET
#define HAS_CODES
void decode_codes(Quads w, uint g, out uint q[8], out vec2 scale, out vec2 offset) {
    const uvec4 low = w.v[g];
    const uvec2 high = Pairs(w).v[pc.plane1 * 2 + g];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint pair = 2 * (i / 2), pair16 = pair + 4;
        q[i] = (low[i] & 0x0f0f0f0fu) | (high[i % 2] >> pair & 0x03030303u) << 4;
        q[4 + i] = (low[i] >> 4 & 0x0f0f0f0fu) | (high[i % 2] >> pair16 & 0x03030303u) << 4;
    }
    const int scales = int(short_at(w, pc.plane2, g));
    scale = half_at(w, pc.plane3, g / 8) * vec2(bitfieldExtract(scales, 0, 8), bitfieldExtract(scales, 8, 8));
    offset = -32.0 * scale;
}
#include "codes.glsl"
