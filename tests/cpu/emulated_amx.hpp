// SPDX-License-Identifier: Apache-2.0
// The tile instructions of Advanced Matrix Extensions in plain C++, for processors without them: what stands before a file of kernels when
// it is compiled for a test (-include). What a processor would fault on ends the program. After Intel's instruction set reference.
#pragma once

#ifdef __AMX_TILE__  // of all files of the backend, the one that has tiles

#include <immintrin.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace ponder_test::amx {

constexpr int kTiles = 8, kMaxRows = 16, kMaxRowBytes = 64;

struct Tile {
    int rows = 0, row_bytes = 0;
    alignas(64) uint8_t bytes[kMaxRows][kMaxRowBytes];
};

inline thread_local bool is_configured = false;
inline thread_local Tile tiles[kTiles];

inline void expect(bool is_sound, const char* what) {
    if (is_sound) return;
    std::fprintf(stderr, "emulated tiles: %s\n", what);
    std::abort();
}

inline Tile& tile(int i) {
    expect(is_configured, "used before they are configured");
    expect(tiles[i].rows > 0 && tiles[i].row_bytes > 0, "one without rows is used");
    return tiles[i];
}

// The configuration's bytes: 0 palette, 1 first row, 16 to 31 bytes of a row (u16), 48 to 55 rows (u8); all others are zero.
inline void load_config(const void* from) {
    uint8_t bytes[64];
    std::memcpy(bytes, from, sizeof bytes);
    expect(bytes[0] == 1 && bytes[1] == 0, "palette 1 and first row 0 are all that is known");
    for (int i = 2; i < 64; i++) expect((i >= 16 && i < 32) || (i >= 48 && i < 56) || bytes[i] == 0, "a reserved byte is set");
    for (int i = 0; i < kTiles; i++) {
        uint16_t row_bytes;
        std::memcpy(&row_bytes, bytes + 16 + 2 * i, sizeof row_bytes);
        const uint8_t rows = bytes[48 + i];
        expect(rows <= kMaxRows && row_bytes <= kMaxRowBytes && (rows == 0) == (row_bytes == 0), "a shape over the limits");
        tiles[i] = {rows, row_bytes, {}};
    }
    is_configured = true;
}

inline void load(int to, const void* from, size_t stride) {
    Tile& t = tile(to);
    std::memset(t.bytes, 0, sizeof t.bytes);
    for (int r = 0; r < t.rows; r++)
        std::memcpy(t.bytes[r], static_cast<const char*>(from) + static_cast<size_t>(r) * stride, static_cast<size_t>(t.row_bytes));
}

inline void store(int from, void* to, size_t stride) {
    const Tile& t = tile(from);
    for (int r = 0; r < t.rows; r++)
        std::memcpy(static_cast<char*>(to) + static_cast<size_t>(r) * stride, t.bytes[r], static_cast<size_t>(t.row_bytes));
}

inline void zero(int i) { std::memset(tile(i).bytes, 0, sizeof tile(i).bytes); }

// sums[m][n] += a[m][2k] b[k][2n] + a[m][2k + 1] b[k][2n + 1], of bfloat16; processors may add in another order, and take numbers below
// float32's normal range for 0.
inline void multiply_bf16(int sums, int left, int right) {
    Tile &c = tile(sums), &a = tile(left), &b = tile(right);
    expect(sums != left && sums != right && left != right, "two operands are the same");
    expect(c.rows == a.rows && c.row_bytes == b.row_bytes && a.row_bytes == 4 * b.rows, "shapes do not fit");
    const auto value = [](const Tile& t, int row, int i) {
        uint16_t half;
        std::memcpy(&half, t.bytes[row] + 2 * i, sizeof half);
        const uint32_t bits = static_cast<uint32_t>(half) << 16;
        float x;
        std::memcpy(&x, &bits, sizeof x);
        return x;
    };
    for (int m = 0; m < c.rows; m++) {
        for (int n = 0; n < c.row_bytes / 4; n++) {
            float sum;
            std::memcpy(&sum, c.bytes[m] + 4 * n, sizeof sum);
            for (int k = 0; k < b.rows; k++) {
                for (int i = 0; i < 2; i++) sum += value(a, m, 2 * k + i) * value(b, k, 2 * n + i);
            }
            std::memcpy(c.bytes[m] + 4 * n, &sum, sizeof sum);
        }
    }
}

// The system lends what it does not have to.
inline long grant(long, long, long) { return 0; }

constexpr bool is_emulated(std::string_view feature) { return feature == "amx-tile" || feature == "amx-bf16"; }

}  // namespace ponder_test::amx

#undef _tile_loadd
#undef _tile_stream_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig(config) ponder_test::amx::load_config(config)
#define _tile_release() static_cast<void>(ponder_test::amx::is_configured = false)
#define _tile_loadd(tile, base, stride) ponder_test::amx::load(tile, base, stride)
#define _tile_stream_loadd(tile, base, stride) ponder_test::amx::load(tile, base, stride)
#define _tile_stored(tile, base, stride) ponder_test::amx::store(tile, base, stride)
#define _tile_zero(tile) ponder_test::amx::zero(tile)
#define _tile_dpbf16ps(sums, left, right) ponder_test::amx::multiply_bf16(sums, left, right)
#define __builtin_cpu_supports(feature) (ponder_test::amx::is_emulated(feature) || __builtin_cpu_supports(feature))
#define syscall(call, request, feature) ponder_test::amx::grant(call, request, feature)

#endif
