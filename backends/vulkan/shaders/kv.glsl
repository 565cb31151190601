// SPDX-License-Identifier: Apache-2.0
// Cached rows of one layer in a page. F32 and F16: [page_tokens, width]. Q8_0 keeps its codes, [page_tokens, width] bytes, before its
// scales, [page_tokens, width / 32] halves: as many bytes as blocks would take, but in whole words.
layout(constant_id = 0) const uint KV_TYPE = 0;  // 0: F32, 1: F16, 2: Q8_0
const uint PAGE_TOKENS = 32;

Words page_of(RunHeader header, uint first_page, uint token) { return Words(Pairs(header.pages).v[first_page + token / PAGE_TOKENS]); }

float kv_scale(Words page, uint base, uint slot, uint width, uint e) {
    const uint i = slot * (width / 32) + e / 32;
    return unpackHalf2x16(page.v[base + PAGE_TOKENS * width / 4 + i / 2] >> (16 * (i % 2))).x;
}

// Element e of the row of the page's token `slot`; `base`: the layer's first word in the page.
float kv_load(Words page, uint base, uint slot, uint width, uint e) {
    const uint i = slot * width + e;
    if (KV_TYPE == 0) return uintBitsToFloat(page.v[base + i]);
    if (KV_TYPE == 1) return unpackHalf2x16(page.v[base + i / 2] >> (16 * (i % 2))).x;
    return float(bitfieldExtract(int(page.v[base + i / 4]), 8 * int(i % 4), 8)) * kv_scale(page, base, slot, width, e);
}

// Elements e to e + 3; e and width are multiples of 4.
vec4 kv_load4(Words page, uint base, uint slot, uint width, uint e) {
    const uint i = slot * width + e;
    if (KV_TYPE == 0) return Vec4s(page).v[(base + i) / 4];
    if (KV_TYPE == 1) {
        const uvec2 halves = Pairs(page).v[(base + i / 2) / 2];
        return vec4(unpackHalf2x16(halves.x), unpackHalf2x16(halves.y));
    }
    const int codes = int(page.v[base + i / 4]);
    return kv_scale(page, base, slot, width, e) *
           vec4(bitfieldExtract(codes, 0, 8), bitfieldExtract(codes, 8, 8), bitfieldExtract(codes, 16, 8), bitfieldExtract(codes, 24, 8));
}
