// SPDX-License-Identifier: Apache-2.0
// IQ3_XXS, blocks of 98 bytes as stored: see lib/quant/quant_iq3_xxs.cpp.
#include "grids.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 98, unit = g % 8, aux = long_at(w, 0, block + 66 + 4 * unit);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint at = block + 2 + 8 * unit + 2 * i;
        const uvec2 grid = uvec2(grid4(kIq3Xxs + byte_at(w, 0, at)), grid4(kIq3Xxs + byte_at(w, 0, at + 1)));
        put_signed(grid, even_signs(aux >> (7 * i) & 127u), i, q);
    }
    scale = vec2(half_at(w, 0, block / 2) * (0.5 + float(aux >> 28)) * 0.5);
    offset = vec2(0.0);
}
