// SPDX-License-Identifier: Apache-2.0
// F8_E4M3. Plane 0: 32 bytes a unit; plane 1: a float32 for each 128 x 128 elements of a slice. In place of plane 2: rows of a slice as stored.
float widen(uint e) {
    const uint magnitude = e & 127u;
    float value = magnitude < 8u ? float(magnitude) * 0.001953125 : uintBitsToFloat((magnitude << 20) + (120u << 23));
    if (magnitude == 127u) value = uintBitsToFloat(0x7fc00000u);
    return (e & 128u) != 0u ? -value : value;
}
void decode_unit(Quads w, uint g, out vec4 q[8], out vec2 scale, out vec2 offset) {
    [[unroll]] for (uint i = 0; i < 8; i++) {
        const uint word = w.v[g * 2 + i / 4][i % 4];
        q[i] = vec4(widen(word & 255u), widen(word >> 8 & 255u), widen(word >> 16 & 255u), widen(word >> 24));
    }
    const uint row = g / pc.units, slice = row / pc.plane2, n_down = (pc.plane2 + 127) / 128, n_across = (pc.n_in + 127) / 128;
    const uint factor = (slice * n_down + row % pc.plane2 / 128) * n_across + g % pc.units / 4;
    scale = vec2(uintBitsToFloat(word_at(w, pc.plane1, factor)));
    offset = vec2(0.0);
}
