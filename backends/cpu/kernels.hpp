// SPDX-License-Identifier: Apache-2.0
// The inner loops of the CPU backend, one table of them for each instruction set; all tables are made from the same templates.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ponder::cpu {

// dst[i * dst_stride + r] = row r of a stored matrix times activation row i, for n_rows rows and n_x activation rows. Each result depends
// on its own row and activation alone, bit for bit. x: rounded rows (RoundedLayout), or float32 rows for kernels of float types; x_stride
// in bytes.
using RowsDot = void (*)(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_cols, const std::byte* x, int64_t x_stride,
                         int64_t n_x, float* dst, int64_t dst_stride);

// For many activation rows: up to 16 weight rows are expanded to a panel of panel_bytes(n_cols), and all n_x rounded rows pass over it:
// dst[i * dst_stride + r] for its n_rows rows. Sums are taken in another order than by RowsDot. n_cols must be a multiple of 64.
using ExpandPanel = void (*)(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_cols, std::byte* panel);
using MultiplyPanel = void (*)(const std::byte* panel, int64_t n_cols, const std::byte* x, int64_t x_stride, int64_t n_x, float* dst,
                               int64_t dst_stride, int64_t n_rows);
inline constexpr int64_t kRowsOfPanel = 16;
// Codes, and at most a scale and a minimum for each 16 columns.
constexpr int64_t panel_bytes(int64_t n_cols) { return kRowsOfPanel * (n_cols + n_cols / 16 * 8); }

struct DotKernel;

// Columns of up to 32 weight rows: n_cols of them, n_bytes long, from `rows` on, a multiple of 64 (256 for types of such blocks) and at
// most kTilePanelColumns.
struct TileWeights {
    const DotKernel* kernel;
    const std::byte* rows;
    int64_t row_bytes, n_rows, n_cols, n_bytes;
};
inline constexpr int64_t kRowsOfTilePanel = 32, kTilePanelColumns = 512;
inline constexpr int64_t kTilePanelBytes = kRowsOfTilePanel * kTilePanelColumns * 2;
// Floats of what one panel sums.
constexpr int64_t tile_sums(int64_t n_x) { return (n_x + 15) / 16 * 512; }

// Activation rows of bfloat16 as the columns of tiles: blocks of 16 rows, the last filled up with zeros, each
// [n_cols / 32, rounded up][16 pairs of columns][16 rows][2].
inline constexpr int64_t kRowsOfTile = 16;
struct PairedRows {
    int64_t n_rows, n_cols;
    constexpr int64_t n_blocks() const { return (n_rows + kRowsOfTile - 1) / kRowsOfTile; }
    constexpr int64_t block_bytes() const { return (n_cols + 31) / 32 * kRowsOfTile * 64; }
    constexpr int64_t n_bytes() const { return n_blocks() * block_bytes(); }
};

// Rows of bfloat16 as rows of tiles: blocks of 16 rows, the last of which may have fewer, and within each block
// [n_cols / 32, rounded up][its rows][32].
struct TiledRows {
    int64_t n_rows, n_cols;
    constexpr int64_t row_bytes() const { return (n_cols + 31) / 32 * 64; }
    constexpr int64_t n_bytes() const { return n_rows * row_bytes(); }
    // Bytes from one piece of 32 columns of row i to the next.
    constexpr int64_t step(int64_t i) const { return (n_rows - i / 16 * 16 < 16 ? n_rows % 16 : 16) * 64; }
    constexpr int64_t place(int64_t i) const { return i / 16 * 16 * row_bytes() + i % 16 * 64; }
};

// Bytes of one of the two parts of a matrix that TileKernels::split makes.
constexpr int64_t split_bytes(int64_t depth, int64_t n) { return (depth + 31) / 32 * 32 * ((n + 31) / 32 * 32) * 2; }

// For processors with a matrix unit.
struct TileKernels {
    bool (*has_tiles)(const DotKernel& kernel);
    // Weights become a panel of tiles of bfloat16, of kTilePanelBytes: [n_cols / 32][2][16 rows][32].
    void (*expand)(const TileWeights& weights, std::byte* panel);
    // Up to 16 float32 rows [n] to a block of PairedRows. `rest`, unless null, takes what bfloat16 leaves of them, to bfloat16 again: the
    // sum of both keeps 16 bits.
    void (*round_rows)(const float* const* rows, int64_t n_rows, int64_t n, std::byte* dst, std::byte* rest);
    // Adds the products of x's columns from `first` on and the panel's n_cols columns to `sums`. is_first: sums hold nothing yet. All are
    // aligned to 64 bytes. Sums lie in tiles, which load and store several times faster than rows of a matrix: [n_rows / 16, rounded up][2]
    // [16 weight rows][16 activation rows]. Meanwhile the weights of `next`, unless null, are fetched.
    void (*multiply)(const std::byte* panel, int64_t n_cols, const std::byte* x, const PairedRows& rows, int64_t first, float* sums,
                     bool is_first, const TileWeights* next);
    // dst[i * dst_stride + r] = the sum of activation row i of n_x and weight row r of n_rows; the panels' sums lie one after another.
    void (*store_sums)(const float* sums, int64_t n_x, int64_t n_rows, float* dst, int64_t dst_stride);
    // The same of silu(gate) * up, as columns [first, first + n_cols) of `rows`, both multiples of 32.
    void (*store_gated)(const float* gates, const float* ups, int64_t first, int64_t n_cols, const PairedRows& rows, std::byte* dst);
    // Float32 matrices as sums of two of bfloat16, of which three of the four products are taken: 16 bits of each factor.
    // A row [n] of the left one, padded to a multiple of 32, pieces of 32 elements `step` bytes apart.
    void (*split_row)(const float* src, int64_t n, int64_t step, std::byte* dst, std::byte* rest);
    // A right matrix of n columns, all multiples of 16: [n / 32, rounded up] panels, [depth / 32, rounded up][2][16 pairs of rows][16][2],
    // split_bytes in all, twice. `src` has its columns as rows, `stride` floats apart, for split_turned, or its rows.
    void (*split_turned)(const float* src, int64_t stride, int64_t depth, int64_t n, std::byte* dst);
    void (*split)(const float* src, int64_t stride, int64_t depth, int64_t n, std::byte* dst);
    // dst[i * dst_stride + j] (+)= left . right, for rows i of `rows` from `first` on, a multiple of 16, which dst begins with. left:
    // TiledRows of split_row, and behind them the same of `rest`.
    void (*multiply_split)(const std::byte* left, const TiledRows& rows, int64_t first, const std::byte* right, int64_t n, float* dst,
                           int64_t dst_stride, bool adds);
};

// F8_E4M3: bytes with a float32 factor for each 128 x 128 of a matrix, [n_rows / 128][n_cols / 128], both rounded up. `scales` are the
// whole matrix's.
inline constexpr int64_t kF8Columns = 128;
struct F8Kernel {
    // Rows [first, first + n_rows), which begin at `rows`, times float32 rows x, as RowsDot.
    void (*dot)(const std::byte* rows, const std::byte* scales, int64_t first, int64_t n_rows, int64_t n_cols, const float* x, int64_t n_x,
                float* dst, int64_t dst_stride);
    // One row as float32.
    void (*widen)(const std::byte* row, const std::byte* scales, int64_t index, int64_t n_cols, float* dst);
};

struct DotKernel {
    int32_t type;       // stored type, its GGUF number
    bool takes_floats;  // x is float32, not rounded
    RowsDot dot;
    ExpandPanel expand;  // null: this instruction set has no panels
    MultiplyPanel multiply;
    int32_t panels_from;                                                   // source rows from which on expanding pays
    void (*widen)(const std::byte* row, int64_t n, float* dst) = nullptr;  // types of floats: a row of n as float32
};

// Elements from `first` on of cached rows of one stored type, row_bytes apart; `first` is a multiple of 16. `next`, if not null: as many
// rows that are wanted soon, which are fetched meanwhile.
struct StoredRows {
    const std::byte* data;
    int64_t row_bytes, first;
    const std::byte* next = nullptr;
};

// n, the elements of a row that count, is a multiple of 16.
struct CacheKernels {
    int32_t type;
    // scores[h * scores_stride + t] = scale * (q[h * n ...] . row t), h < n_q, t < n_tokens
    void (*score)(const float* q, int64_t n_q, const StoredRows& rows, int64_t n_tokens, int64_t n, float scale, float* scores,
                  int64_t scores_stride);
    // dst[h * n ...] += sum over t of weights[h * weights_stride + t] * row t
    void (*add_weighted)(const float* weights, int64_t weights_stride, int64_t n_q, const StoredRows& rows, int64_t n_tokens, float* dst,
                         int64_t n);
    // dst[n] = elements of a row from `first` on
    void (*widen)(const std::byte* row, int64_t first, int64_t n, float* dst);
};

struct Kernels {
    const char* name;  // as `--backend cpu/NAME` says
    const DotKernel* dots;
    int32_t n_dots;
    F8Kernel f8;
    // A float32 row [n] to a rounded row.
    void (*round_row)(const float* src, int64_t n, std::byte* dst);
    // dst = silu(gate) * up
    void (*swiglu)(const float* gate, const float* up, float* dst, int64_t n);
    // x += delta unless delta is null; returns the sum of x * x.
    double (*add_and_square)(float* x, const float* delta, int64_t n);
    // dst = x * weight * scale
    void (*scale_by)(const float* x, const float* weight, float scale, float* dst, int64_t n);
    // dst[i] += sum over r of weights[r] * rows[r * stride + i]
    void (*add_weighted)(const float* weights, const float* rows, int64_t stride, int64_t n_rows, float* dst, int64_t n);
    // x[i] = exp(x[i] - top); returns their sum.
    float (*exponentials)(float* x, int64_t n, float top);
    float (*largest)(const float* x, int64_t n);
    void (*multiply_by)(float* x, float factor, int64_t n);
    const CacheKernels* caches;  // F32, F16, Q8_0
    // dst[i * dst_stride + j] (+)= sum over k of a[i * a_stride + k] * b[k * b_stride + j], i < n_a, k < depth, j < n, n a multiple of 16.
    void (*product)(const float* a, int64_t a_stride, int64_t n_a, const float* b, int64_t b_stride, int64_t depth, int64_t n, float* dst,
                    int64_t dst_stride, bool adds);
    // dst[i * dst_stride + r] = src[r * stride + i], r < n_rows, i < n, n a multiple of 16.
    void (*transpose)(const float* src, int64_t stride, int64_t n_rows, int64_t n, float* dst, int64_t dst_stride);
    const TileKernels* tiles = nullptr;  // null: this instruction set has no matrix unit

    const CacheKernels* find_cache(int32_t stored_type) const {
        for (int i = 0; i < 3; i++) {
            if (caches[i].type == stored_type) return &caches[i];
        }
        return nullptr;
    }

    const DotKernel* find_dot(int32_t stored_type) const {
        for (int32_t i = 0; i < n_dots; i++) {
            if (dots[i].type == stored_type) return &dots[i];
        }
        return nullptr;
    }
};

// Null: this build or this processor has no such instruction set.
const Kernels* generic_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* amx_kernels();
const Kernels* neon_kernels();
const Kernels* i8mm_kernels();

// The best of this processor if name is null, or the one of that name; null if there is none or it cannot run here.
const Kernels* find_kernels(const char* name);

}  // namespace ponder::cpu
