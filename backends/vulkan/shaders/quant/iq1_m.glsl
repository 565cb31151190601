// SPDX-License-Identifier: Apache-2.0
// IQ1_M, blocks of 56 bytes as stored: see lib/quant/quant_iq1_m.cpp.
#include "grids.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 56, unit = g % 8;
    uint half_bits = 0;
    [[unroll]] for (uint i = 0; i < 4; i++) half_bits |= short_at(w, 0, block / 2 + 24 + i) >> 12 << (4 * i);
    const uint scales = short_at(w, 0, block / 2 + 24 + unit / 2) >> (6 * (unit % 2));
    scale = unpackHalf2x16(half_bits).x * vec2(2 * (scales & 7u) + 1, 2 * (scales >> 3 & 7u) + 1);
    offset = vec2(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint part = 4 * unit + i, nibble = byte_at(w, 0, block + 32 + part / 2) >> (4 * (part % 2)) & 15u;
        const uvec2 grid = grid8(kIq1 + (byte_at(w, 0, block + part) | (nibble & 7u) << 8));
        const float shift = (nibble & 8u) != 0u ? -0.125 : 0.125;
        q[2 * i] = signed_bytes_of(grid.x) + shift;
        q[2 * i + 1] = signed_bytes_of(grid.y) + shift;
    }
}
