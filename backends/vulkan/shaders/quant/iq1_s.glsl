// SPDX-License-Identifier: Apache-2.0
// IQ1_S, blocks of 50 bytes as stored: see lib/quant/quant_iq1_s.cpp.
#define HAS_OFFSET
#include "grids.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 50, unit = g % 8, high = short_at(w, 0, block / 2 + 17 + unit);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uvec2 grid = grid8(kIq1 + (byte_at(w, 0, block + 2 + 4 * unit + i) | (high >> (3 * i) & 7u) << 8));
        q[2 * i] = signed_bytes_of(grid.x);
        q[2 * i + 1] = signed_bytes_of(grid.y);
    }
    scale = vec2(half_at(w, 0, block / 2) * float(2 * (high >> 12 & 7u) + 1));
    offset = ((high & 0x8000u) != 0u ? -0.125 : 0.125) * scale;
}
