// SPDX-License-Identifier: Apache-2.0
// F16. Plane 0: 64 bytes a unit.
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uvec4 halves = w.v[g * 4 + i];
        q[2 * i] = vec4(unpackHalf2x16(halves.x), unpackHalf2x16(halves.y));
        q[2 * i + 1] = vec4(unpackHalf2x16(halves.z), unpackHalf2x16(halves.w));
    }
    scale = vec2(1.0);
    offset = vec2(0.0);
}
