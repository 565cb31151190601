// SPDX-License-Identifier: Apache-2.0
// MXFP4. Plane 0: 16 bytes of nibbles a unit; plane 1: E8M0 scale, a byte.
#include "e2m1_levels.glsl"
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uvec4 codes = w.v[g];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        [[unroll]] for (uint j = 0; j < 4; j++) {
            q[i][j] = kLevels[codes[i] >> (8 * j) & 15u];
            q[4 + i][j] = kLevels[codes[i] >> (8 * j + 4) & 15u];
        }
    }
    // Half the scale, since the levels are doubled; below 2 that is subnormal.
    const uint exponent = byte_at(w, pc.plane1, g);
    scale = vec2(uintBitsToFloat(exponent < 2u ? 0x00200000u << exponent : (exponent - 1) << 23));
    offset = vec2(0.0);
}
