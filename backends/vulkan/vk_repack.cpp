// SPDX-License-Identifier: Apache-2.0
// The table of layouts, and how blocks are cut.
#include "vk_repack.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "quant/block_io.hpp"
#include "quant/quant_iq_tables.hpp"
#include "vk_pipelines.hpp"

namespace ponder::vk {

namespace {

void copy(std::byte* dst, const std::byte* src, size_t n) { std::memcpy(dst, src, n); }

// A unit's sixteen bytes of nibbles: elements 0-15 low, 16-31 high.
template <class Element>
void pack_nibbles(std::byte* dst, const Element& element) {
    for (int j = 0; j < 16; j++) store_u8(dst + j, (element(j) & 15u) | (element(16 + j) & 15u) << 4);
}

void pack_half_then_nibbles(const std::byte* b, std::byte* const* planes) {
    copy(planes[0], b + 2, 16);
    copy(planes[1], b, 2);
}
void pack_q8_0(const std::byte* b, std::byte* const* planes) {
    copy(planes[0], b + 2, 32);
    copy(planes[1], b, 2);
}
void pack_q4_1(const std::byte* b, std::byte* const* planes) {
    copy(planes[0], b + 4, 16);
    copy(planes[1], b, 4);
}
void pack_q5_0(const std::byte* b, std::byte* const* planes) {
    copy(planes[0], b + 6, 16);
    copy(planes[1], b + 2, 4);
    copy(planes[2], b, 2);
}
void pack_q5_1(const std::byte* b, std::byte* const* planes) {
    copy(planes[0], b + 8, 16);
    copy(planes[1], b + 4, 4);
    copy(planes[2], b, 4);
}
void pack_iq4_xs(const std::byte* b, std::byte* const* planes) {
    copy(planes[0], b + 8, 128);
    copy(planes[1], b, 8);
}
void pack_mxfp4(const std::byte* b, std::byte* const* planes) {
    copy(planes[0], b + 1, 16);
    copy(planes[1], b, 1);
}

// Of each 32 bytes the low nibbles are one unit, the high nibbles the next.
void pack_k_nibbles(const std::byte* codes, std::byte* dst) {
    for (int pair = 0; pair < 4; pair++, codes += 32, dst += 32) {
        for (int j = 0; j < 16; j++) {
            const uint32_t a = load_u8(codes + j), b = load_u8(codes + 16 + j);
            store_u8(dst + j, (a & 15u) | (b & 15u) << 4);
            store_u8(dst + 16 + j, a >> 4 | (b & 0xf0u));
        }
    }
}
void pack_q4_k(const std::byte* b, std::byte* const* planes) {
    pack_k_nibbles(b + 16, planes[0]);
    copy(planes[1], b, 16);
}
void pack_q5_k(const std::byte* b, std::byte* const* planes) {
    pack_k_nibbles(b + 48, planes[0]);
    copy(planes[1], b, 16);
    for (int unit = 0; unit < 8; unit++) {
        uint32_t fifth = 0;
        for (int j = 0; j < 32; j++) fifth |= (load_u8(b + 16 + j) >> unit & 1u) << j;
        store_u32(planes[2] + 4 * unit, fifth);
    }
}
void pack_q6_k(const std::byte* b, std::byte* const* planes) {
    for (int unit = 0; unit < 8; unit++) {
        const int run = unit / 4, n = unit % 4;
        const std::byte* low = b + 64 * run + 32 * (n % 2);
        const std::byte* high = b + 128 + 32 * run;
        pack_nibbles(planes[0] + 16 * unit, [&](int j) { return static_cast<uint32_t>(load_u8(low + j)) >> (n < 2 ? 0 : 4); });
        for (int m = 0; m < 8; m++) {
            uint32_t bits = 0;
            for (int pair = 0; pair < 4; pair++) bits |= (load_u8(high + 8 * pair + m) >> (2 * n) & 3u) << (2 * pair);
            store_u8(planes[1] + 8 * unit + m, bits);
        }
    }
    copy(planes[2], b + 192, 16);
    copy(planes[3], b + 208, 2);
}

struct Row {
    const char* type;
    int n_planes;
    uint32_t plane_bytes[kMaxPlanes];
    void (*pack)(const std::byte* block, std::byte* const* planes);
};

constexpr Row kRows[] = {
    {"Q8_0", 2, {32, 2}, pack_q8_0},          {"Q4_0", 2, {16, 2}, pack_half_then_nibbles},
    {"Q4_1", 2, {16, 4}, pack_q4_1},          {"Q5_0", 3, {16, 4, 2}, pack_q5_0},
    {"Q5_1", 3, {16, 4, 4}, pack_q5_1},       {"IQ4_NL", 2, {16, 2}, pack_half_then_nibbles},
    {"IQ4_XS", 2, {128, 8}, pack_iq4_xs},     {"MXFP4", 2, {16, 1}, pack_mxfp4},
    {"Q4_K", 2, {128, 16}, pack_q4_k},        {"Q5_K", 3, {128, 16, 32}, pack_q5_k},
    {"Q6_K", 4, {128, 64, 16, 2}, pack_q6_k},
};

template <class Grid>
void append(std::vector<uint32_t>& words, const Grid& grid) {
    for (const auto entry : grid) {
        words.push_back(static_cast<uint32_t>(entry));
        if constexpr (sizeof entry == 8) words.push_back(static_cast<uint32_t>(entry >> 32));
    }
}

}  // namespace

TypeLayout find_layout(const QuantType& type) {
    TypeLayout layout;
    layout.shader = type.name;
    for (char& c : layout.shader) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    layout.block_len = type.block_len;
    layout.n_planes = 1;
    layout.plane_bytes[0] = type.block_bytes;
    const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return std::string_view(r.type) == type.name; });
    if (row != std::end(kRows)) {
        layout.n_planes = row->n_planes;
        std::copy(std::begin(row->plane_bytes), std::end(row->plane_bytes), layout.plane_bytes);
        layout.pack = row->pack;
    } else if (find_shader("matvec_" + layout.shader) == nullptr) {
        layout.shader = "f32";
        layout.block_len = 1;
        layout.plane_bytes[0] = 4;
        layout.is_decoded = true;
    }
    return layout;
}

uint64_t plane_row_bytes(const TypeLayout& layout, int plane, int64_t n_cols) {
    const uint64_t padded = (static_cast<uint64_t>(n_cols) + kUnit - 1) / kUnit * kUnit;
    return padded / layout.block_len * layout.plane_bytes[plane];
}

void pack_rows(const TypeLayout& layout, const QuantType& type, const std::byte* src, int64_t n_rows, int64_t n_cols,
               std::byte* const* planes) {
    const uint64_t stored = static_cast<uint64_t>(n_cols) / type.block_len * type.block_bytes;
    if (layout.pack == nullptr) {
        const uint64_t row = plane_row_bytes(layout, 0, n_cols);
        const uint64_t filled = layout.is_decoded ? static_cast<uint64_t>(n_cols) * 4 : stored;
        for (int64_t r = 0; r < n_rows; r++, src += stored) {
            std::byte* dst = planes[0] + static_cast<uint64_t>(r) * row;
            if (layout.is_decoded) {
                type.decode(src, reinterpret_cast<float*>(dst), n_cols / type.block_len);
            } else {
                copy(dst, src, stored);
            }
            std::memset(dst + filled, 0, row - filled);
        }
        return;
    }
    std::byte* at[kMaxPlanes] = {planes[0], planes[1], planes[2], planes[3]};
    for (int64_t b = 0; b < n_rows * (n_cols / type.block_len); b++, src += type.block_bytes) {
        layout.pack(src, at);
        for (int p = 0; p < layout.n_planes; p++) at[p] += layout.plane_bytes[p];
    }
}

std::vector<uint32_t> make_tables() {
    std::vector<uint32_t> words;
    append(words, kIq2XxsGrid);
    append(words, kIq2XsGrid);
    append(words, kIq2SGrid);
    append(words, kIq1Grid);
    append(words, kIq3XxsGrid);
    append(words, kIq3SGrid);
    return words;
}

}  // namespace ponder::vk
