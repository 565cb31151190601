// SPDX-License-Identifier: Apache-2.0
// TQ2_0, blocks of 66 bytes as stored: see lib/quant/quant_tq2_0.cpp.
#define HAS_OFFSET
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    const uint block = g / 8 * 66, unit = g % 8;
    [[unroll]] for (uint i = 0; i < 8; i++)
        q[i] = bytes_of(long_at(w, 0, block + unit / 4 * 32 + 4 * i) >> (2 * (unit % 4)) & 0x03030303u);
    scale = vec2(half_at(w, 0, block / 2 + 32));
    offset = -scale;
}
