// SPDX-License-Identifier: Apache-2.0
// The sixteen bytes with which blocks of Q4_K and Q5_K begin: halves d and dmin, then eight six-bit scales and minimums in twelve bytes
// (lib/quant/packed_scales.hpp draws them).
#define HAS_OFFSET
void decode_scales(uvec4 header, uint group, out vec2 scale, out vec2 offset) {
    const uint shift = 8 * (group & 3u);
    const uint a = header.y >> shift & 255u, b = header.z >> shift & 255u, c = header.w >> shift & 255u;
    const uint s = group < 4u ? a & 63u : (c & 15u) | (a >> 6) << 4;
    const uint m = group < 4u ? b & 63u : c >> 4 | (b >> 6) << 4;
    const vec2 d = unpackHalf2x16(header.x);
    scale = vec2(d.x * float(s));
    offset = vec2(-d.y * float(m));
}
