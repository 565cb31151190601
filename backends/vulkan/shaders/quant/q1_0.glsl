// SPDX-License-Identifier: Apache-2.0
// Q1_0, blocks of 18 bytes, 128 elements, as stored: see lib/quant/quant_q1_0.cpp.
#define HAS_OFFSET
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 4 * 18;
    [[unroll]] for (uint i = 0; i < 8; i++) q[i] = vec4(0.0);
    add_bits(long_at(w, 0, block + 2 + 4 * (g % 4)), 2.0, q);
    scale = vec2(half_at(w, 0, block / 2));
    offset = -scale;
}
