// SPDX-License-Identifier: Apache-2.0
// F32. Plane 0: 128 bytes a unit.
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    [[unroll]] for (uint i = 0; i < 8; i++) q[i] = uintBitsToFloat(w.v[g * 8 + i]);
    scale = vec2(1.0);
    offset = vec2(0.0);
}
