// SPDX-License-Identifier: Apache-2.0
// Helpers to widen a unit, the 32 neighbouring elements that one decode gives: element j = scale[j / 16] * q[j / 4][j % 4] + offset[j / 16].

vec4 bytes_of(uint w) { return vec4(w & 255u, w >> 8 & 255u, w >> 16 & 255u, w >> 24); }
vec4 signed_bytes_of(uint w) {
    const int i = int(w);
    return vec4(bitfieldExtract(i, 0, 8), bitfieldExtract(i, 8, 8), bitfieldExtract(i, 16, 8), bitfieldExtract(i, 24, 8));
}
// The same of types whose elements are integers in bytes: code j is byte j % 4 of q[j / 4], as signed.
void split_codes(uvec4 w, out uint q[8]) {
    [[unroll]] for (uint i = 0; i < 4; i++) {
        q[i] = w[i] & 0x0f0f0f0fu;
        q[4 + i] = w[i] >> 4 & 0x0f0f0f0fu;
    }
}
// Code 4i + j gets bit 4i + j of `bits` as its bit n.
void add_code_bits(uint bits, uint n, inout uint q[8]) {
    // Four bits, seven places from each to the next, land in four bytes.
    [[unroll]] for (uint i = 0; i < 8; i++) q[i] |= ((bits >> (4 * i) & 15u) * 0x00204081u & 0x01010101u) << n;
}
// Sixteen bytes of nibbles: the low ones are elements 0-15, the high ones 16-31.
void split_nibbles(uvec4 w, out vec4 q[8]) {
    [[unroll]] for (uint i = 0; i < 4; i++) {
        q[i] = bytes_of(w[i] & 0x0f0f0f0fu);
        q[4 + i] = bytes_of(w[i] >> 4 & 0x0f0f0f0fu);
    }
}
// Element 4i + j gets bit 4i + j of `bits`, times `value`.
void add_bits(uint bits, float value, inout vec4 q[8]) {
    [[unroll]] for (uint i = 0; i < 8; i++) {
        const uint four = bits >> (4 * i);
        q[i] += value * vec4(four & 1u, four >> 1 & 1u, four >> 2 & 1u, four >> 3 & 1u);
    }
}

uint word_at(Quads w, uint plane, uint i) { return Words(w).v[plane * 4 + i]; }
// Of a plane: byte, half or 16-bit number i.
uint byte_at(Quads w, uint plane, uint i) { return word_at(w, plane, i / 4) >> (8 * (i % 4)) & 255u; }
uint short_at(Quads w, uint plane, uint i) { return word_at(w, plane, i / 2) >> (16 * (i % 2)) & 65535u; }
float half_at(Quads w, uint plane, uint i) { return unpackHalf2x16(short_at(w, plane, i)).x; }
uint long_at(Quads w, uint plane, uint byte) {
    const uint shift = 8 * (byte % 4), low = word_at(w, plane, byte / 4) >> shift;
    return shift == 0 ? low : low | word_at(w, plane, byte / 4 + 1) << (32 - shift);
}
