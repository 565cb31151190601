// SPDX-License-Identifier: Apache-2.0
// The grids of the IQ formats, where vk_repack.cpp puts them among the constant tables, and what indexes them. Blocks are as stored.
const uint kIq2Xxs = 0, kIq2Xs = 256, kIq2S = 768, kIq1 = 1792;  // in pairs of words: 8 elements an entry
const uint kIq3Xxs = 7680, kIq3S = 7936;                        // in words: 4 elements an entry

uvec2 grid8(uint i) { return Pairs(pc.tables).v[i]; }
uint grid4(uint i) { return Words(pc.tables).v[i]; }
// A set bit is a minus sign. Seven bits are stored; the eighth makes the number of minus signs even.
uint even_signs(uint index) { return index | (uint(bitCount(index)) & 1u) << 7; }
vec4 signs_of(uint bits) { return 1.0 - 2.0 * vec4(bits & 1u, bits >> 1 & 1u, bits >> 2 & 1u, bits >> 3 & 1u); }
void put_signed(uvec2 grid, uint signs, uint i, inout vec4 q[8]) {
    q[2 * i] = bytes_of(grid.x) * signs_of(signs);
    q[2 * i + 1] = bytes_of(grid.y) * signs_of(signs >> 4);
}
