// SPDX-License-Identifier: Apache-2.0
// Q2_0, blocks of 18 bytes, 64 elements, as stored: see lib/quant/quant_q2_0.cpp.
#define HAS_OFFSET
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 2 * 18, codes0 = block + 2 + 8 * (g % 2);
    [[unroll]] for (uint i = 0; i < 8; i++) {
        const uint c = byte_at(w, 0, codes0 + i);
        q[i] = vec4(c & 3u, c >> 2 & 3u, c >> 4 & 3u, c >> 6);
    }
    scale = vec2(half_at(w, 0, block / 2));
    offset = -scale;
}
