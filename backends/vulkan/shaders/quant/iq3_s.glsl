// SPDX-License-Identifier: Apache-2.0
// IQ3_S, blocks of 110 bytes as stored: see lib/quant/quant_iq3_s.cpp.
#include "grids.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 110, unit = g % 8, high = byte_at(w, 0, block + 66 + unit);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint at = block + 2 + 8 * unit + 2 * i;
        const uint first = byte_at(w, 0, at) | (high >> (2 * i) & 1u) << 8, second = byte_at(w, 0, at + 1) | (high >> (2 * i + 1) & 1u) << 8;
        put_signed(uvec2(grid4(kIq3S + first), grid4(kIq3S + second)), byte_at(w, 0, block + 74 + 4 * unit + i), i, q);
    }
    const uint s = byte_at(w, 0, block + 106 + unit / 2) >> (4 * (unit % 2)) & 15u;
    scale = vec2(half_at(w, 0, block / 2) * float(1 + 2 * s));
    offset = vec2(0.0);
}
