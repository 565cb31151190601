// SPDX-License-Identifier: Apache-2.0
// TQ1_0, blocks of 54 bytes as stored: see lib/quant/quant_tq1_0.cpp.
#define HAS_OFFSET
float digit(uint byte, uint n) {
    const uint powers[5] = uint[](1u, 3u, 9u, 27u, 81u);
    return float((byte * powers[n] & 255u) * 3 >> 8);
}
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 54, unit = g % 8;
    [[unroll]] for (uint i = 0; i < 32; i++) {
        const uint e = 32 * unit + i;
        const uint byte = e < 160u ? e % 32 : e < 240u ? 32 + (e - 160) % 16 : 48 + (e - 240) % 4;
        const uint n = e < 160u ? e / 32 : e < 240u ? (e - 160) / 16 : (e - 240) / 4;
        q[i / 4][i % 4] = digit(byte_at(w, 0, block + byte), n);
    }
    scale = vec2(half_at(w, 0, block / 2 + 26));
    offset = -scale;
}
