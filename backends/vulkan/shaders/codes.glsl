// SPDX-License-Identifier: Apache-2.0
// A unit of a type with decode_codes, as floats.
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    uint codes[8];
    decode_codes(w, g, codes, scale, offset);
    [[unroll]] for (uint i = 0; i < 8; i++) q[i] = signed_bytes_of(codes[i]);
}
