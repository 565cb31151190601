// SPDX-License-Identifier: Apache-2.0
// NVFP4, blocks of 36 bytes as stored: see lib/quant/quant_nvfp4.cpp.
#include "e2m1_levels.glsl"
float half_scale(uint e) {
    if (e == 0x7fu) return 0.0;
    if (e == 0xffu) return 240.0;
    const uint magnitude = e & 127u;
    return 0.5 * (magnitude < 8u ? float(magnitude) * 0.001953125 : uintBitsToFloat((magnitude << 20) + (120u << 23)));
}
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 2 * 9, unit = g % 2;
    [[unroll]] for (uint half_unit = 0; half_unit < 2; half_unit++) {
        [[unroll]] for (uint i = 0; i < 2; i++) {
            const uint codes = word_at(w, 0, block + 1 + 4 * unit + 2 * half_unit + i);
            [[unroll]] for (uint j = 0; j < 4; j++) {
                q[4 * half_unit + i][j] = kLevels[codes >> (8 * j) & 15u];
                q[4 * half_unit + 2 + i][j] = kLevels[codes >> (8 * j + 4) & 15u];
            }
        }
    }
    const uint scales = short_at(w, 0, block * 2 + unit);
    scale = vec2(half_scale(scales & 255u), half_scale(scales >> 8));
    offset = vec2(0.0);
}
