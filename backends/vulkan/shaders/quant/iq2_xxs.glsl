// SPDX-License-Identifier: Apache-2.0
// IQ2_XXS, blocks of 66 bytes as stored: see lib/quant/quant_iq2_xxs.cpp.
#include "grids.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 66, group = block + 2 + 8 * (g % 8);
    const uint indices = long_at(w, 0, group), aux = long_at(w, 0, group + 4);
    [[unroll]] for (uint i = 0; i < 4; i++)
        put_signed(grid8(kIq2Xxs + (indices >> (8 * i) & 255u)), even_signs(aux >> (7 * i) & 127u), i, q);
    scale = vec2(half_at(w, 0, block / 2) * (0.5 + float(aux >> 28)) * 0.25);
    offset = vec2(0.0);
}
