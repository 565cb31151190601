// SPDX-License-Identifier: Apache-2.0
// Q3_K, blocks of 110 bytes as stored: see lib/quant/quant_q3_k.cpp.
#define HAS_OFFSET
float scale_of(Quads w, uint packed, uint group) {
    const uint low = byte_at(w, 0, packed + group % 8) >> (group < 8u ? 0 : 4) & 15u;
    const uint high = byte_at(w, 0, packed + 8 + group % 4) >> (2 * (group / 4)) & 3u;
    return float(int(low | high << 4) - 32);
}
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 110, unit = g % 8;
    [[unroll]] for (uint i = 0; i < 8; i++) {
        const uint low = long_at(w, 0, block + 32 + unit / 4 * 32 + 4 * i) >> (2 * (unit % 4)) & 0x03030303u;
        const uint third = long_at(w, 0, block + 4 * i) >> unit & 0x01010101u;
        q[i] = bytes_of(low | third << 2);
    }
    scale = half_at(w, 0, block / 2 + 54) * vec2(scale_of(w, block + 96, 2 * unit), scale_of(w, block + 96, 2 * unit + 1));
    offset = -4.0 * scale;
}
