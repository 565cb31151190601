// SPDX-License-Identifier: Apache-2.0
// BF16. Plane 0: 64 bytes a unit.
vec4 widen(uvec2 w) { return uintBitsToFloat(uvec4(w.x << 16, w.x & 0xffff0000u, w.y << 16, w.y & 0xffff0000u)); }
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uvec4 words = w.v[g * 4 + i];
        q[2 * i] = widen(words.xy);
        q[2 * i + 1] = widen(words.zw);
    }
    scale = vec2(1.0);
    offset = vec2(0.0);
}
