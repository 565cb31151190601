// SPDX-License-Identifier: Apache-2.0
// IQ2_S, blocks of 82 bytes as stored: see lib/quant/quant_iq2_s.cpp.
#include "grids.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 82, unit = g % 8;
    const uint high = byte_at(w, 0, block + 66 + unit);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint part = 4 * unit + i;
        const uint index = byte_at(w, 0, block + 2 + part) | (high >> (2 * i) & 3u) << 8;
        put_signed(grid8(kIq2S + index), byte_at(w, 0, block + 34 + part), i, q);
    }
    const uint s = byte_at(w, 0, block + 74 + unit);
    scale = half_at(w, 0, block / 2) * (0.5 + vec2(s & 15u, s >> 4)) * 0.25;
    offset = vec2(0.0);
}
