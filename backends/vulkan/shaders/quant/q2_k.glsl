// SPDX-License-Identifier: Apache-2.0
// Q2_K, blocks of 84 bytes as stored: see lib/quant/quant_q2_k.cpp.
#define HAS_OFFSET
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 21, unit = g % 8, codes = block + 4 + unit / 4 * 8;
    [[unroll]] for (uint i = 0; i < 8; i++) q[i] = bytes_of(word_at(w, 0, codes + i) >> (2 * (unit % 4)) & 0x03030303u);
    const uint scales = short_at(w, 0, block * 2 + unit);
    const vec2 d = unpackHalf2x16(word_at(w, 0, block + 20));
    scale = d.x * vec2(scales & 15u, scales >> 8 & 15u);
    offset = -d.y * vec2(scales >> 4 & 15u, scales >> 12);
}
