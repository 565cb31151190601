// SPDX-License-Identifier: Apache-2.0
// IQ2_XS, blocks of 74 bytes as stored: see lib/quant/quant_iq2_xs.cpp.
#include "grids.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 74, unit = g % 8;
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint code = short_at(w, 0, block / 2 + 1 + 4 * unit + i);
        put_signed(grid8(kIq2Xs + (code & 511u)), even_signs(code >> 9), i, q);
    }
    const uint s = byte_at(w, 0, block + 66 + unit);
    scale = half_at(w, 0, block / 2) * (0.5 + vec2(s & 15u, s >> 4)) * 0.25;
    offset = vec2(0.0);
}
