// SPDX-License-Identifier: Apache-2.0
// Advanced Matrix Extensions with bfloat16: Sapphire Rapids and later. Everything that is not a product of many rows is AVX-512's.
#include "kernels.hpp"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels_prologue.hpp"
#include "ponder/ponder_backend.h"

namespace ponder::cpu {

namespace {

#include "kernels_avx512.hpp"

#include "kernels_grids.hpp"

#include "kernels_panels.hpp"

#include "kernels_exponential.hpp"

constexpr int64_t kTileRows = 16, kTileBytes = 1024, kSums = 256;
// Columns that one tile multiplies, and a tile's bytes of one row of them.
constexpr int64_t kTileColumns = 32, kTileRowBytes = 64;

// Tile registers, whose numbers GCC's functions want as digits: 0 to 3 are the sums of two blocks of activation rows times two of weight
// rows, 4 and 5 activation rows, 6 and 7 weight rows.
constexpr int kTileRegisters = 8;

struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

// Tiles for blocks of `first` and `second` activation rows, up to 16 each and at least one.
void configure(int64_t first, int64_t second) {
    TileConfig config;
    const int64_t rows[kTileRegisters] = {first, first, second, second, first, second, kTileRows, kTileRows};
    for (int i = 0; i < kTileRegisters; i++) {
        config.row_bytes[i] = kTileRowBytes;
        config.rows[i] = static_cast<uint8_t>(rows[i]);
    }
    // GCC 12 believes that its function reads eight bytes, and would drop the others.
    asm volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
}

// Neighbouring columns of 16 rows, a row's in a lane, side by side as bfloat16.
inline __attribute__((always_inline)) __m512i pairs_of(__m512 even, __m512 odd) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                           18, 2, 17, 1, 16, 0);
    // The function's first argument becomes the upper half.
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

// Sixteen columns of 16 rows, a row's in a lane, to half a tile: codes as kernels_panels.hpp lays them out.
inline __attribute__((always_inline)) void expand_half_tile(const uint8_t* codes, __m512 scale, __m512 offset, std::byte* dst) {
    const __m512i last = _mm512_set1_epi32(255);
    unrolled<4>([&]<int k>() __attribute__((always_inline)) {
        const __m512i bytes = Vector::load(codes + 64 * k);
        const __m512 a = Vector::to_floats(_mm512_and_si512(bytes, last)),
                     b = Vector::to_floats(_mm512_and_si512(_mm512_srli_epi32(bytes, 8), last)),
                     c = Vector::to_floats(_mm512_and_si512(_mm512_srli_epi32(bytes, 16), last)),
                     d = Vector::to_floats(_mm512_srli_epi32(bytes, 24));
        const auto pairs = [&](__m512 even, __m512 odd) __attribute__((always_inline)) {
            return pairs_of(_mm512_fmsub_ps(even, scale, offset), _mm512_fmsub_ps(odd, scale, offset));
        };
        _mm512_storeu_si512(dst + 128 * k, pairs(a, b));
        _mm512_storeu_si512(dst + 128 * k + 64, pairs(c, d));
    });
}

// Codes of 16 rows to every other tile from `dst` on.
template <int group, bool has_minimums>
void expand_codes(std::byte* codes, int64_t n_cols, float too_large, std::byte* dst) {
    const PanelParts parts(codes, n_cols, group);
    for (int64_t i = 0; i < n_cols / 16; i++) {
        const int64_t at = i * 16 / group * kRowsOfPanel;
        const __m512 scale = Vector::load_floats(parts.scales + at);
        const __m512 offset = has_minimums ? Vector::load_floats(parts.mins + at) : Vector::multiply(scale, Vector::set(too_large));
        expand_half_tile(parts.codes + i * 16 * kRowsOfPanel, scale, offset, dst + i / 2 * 2 * kTileBytes + i % 2 * (kTileBytes / 2));
    }
}

// Sixteen weight rows of BF16 are a tile already, but for the order.
void expand_bf16(const TileWeights& weights, std::byte* panel) {
    for (int64_t t = 0; t < weights.n_cols / kTileColumns; t++) {
        for (int64_t half = 0; half < 2; half++) {
            __m512i values[kTileRows];
            for (int64_t r = 0; r < kTileRows; r++) {
                const int64_t row = half * kTileRows + r;
                values[r] = row < weights.n_rows ? Vector::load(weights.rows + row * weights.row_bytes + t * kTileRowBytes)
                                                 : _mm512_setzero_si512();
            }
            Vector::interleave(values, reinterpret_cast<uint8_t*>(panel) + (2 * t + half) * kTileBytes);
        }
    }
}

// Formats of four bits: what a code stands for before scale and minimum, and where the codes of two groups of 32 lie.
template <class Block>
struct FourBits;

// A group's codes in the lower halves of 32 bytes, the next one's in the upper.
template <>
struct FourBits<BlockQ4K> {
    static __m512 levels() { return _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0); }
    template <int k>
    static void load(const BlockQ4K& block, __m512i& first, __m512i& second) {
        const __m512i pairs = _mm512_cvtepu8_epi16(Vector::load32(block.low + 32 * k));
        first = _mm512_and_si512(pairs, _mm512_set1_epi16(15));
        second = _mm512_srli_epi16(pairs, 4);
    }
};

// Sixteen codes of a group in the lower halves of 16 bytes, sixteen in the upper.
template <int offset>
struct BlocksOfFourBits {
    template <int, class Block>
    static void load(const Block& block, __m512i& first, __m512i& second) {
        const auto codes = [](const uint8_t* p) __attribute__((always_inline)) {
            const __m512i pairs = _mm512_cvtepu8_epi16(_mm256_broadcastsi128_si256(Vector::load16(p + offset)));
            const __m512i shifts = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1);
            return _mm512_and_si512(_mm512_srlv_epi16(pairs, shifts), _mm512_set1_epi16(15));
        };
        first = codes(block.p);
        second = codes(block.q);
    }
};
template <>
struct FourBits<BlockQ40> : BlocksOfFourBits<2> {
    static __m512 levels() { return _mm512_sub_ps(FourBits<BlockQ4K>::levels(), _mm512_set1_ps(8.0f)); }
};
template <>
struct FourBits<BlockQ41> : BlocksOfFourBits<4> {
    static __m512 levels() { return FourBits<BlockQ4K>::levels(); }
};
template <>
struct FourBits<BlockIq4Nl> : BlocksOfFourBits<2> {
    static __m512 levels() { return Vector::widen_i8x16(kIq4Levels); }
};
template <>
struct FourBits<BlockMxfp4> : BlocksOfFourBits<1> {
    static __m512 levels() { return Vector::widen_i8x16(kE2m1Doubled); }
};

// Sixteen numbers of each of two groups are all that their codes can stand for: they are looked up.
template <class Block>
void expand_four_bits(const TileWeights& weights, std::byte* panel) {
    constexpr int kTiles = Block::kStepLength / kTileColumns;
    const __m512 levels = FourBits<Block>::levels();
    for (int64_t half = 0; half < 2; half++) {
        for (int64_t b = 0; b < weights.n_cols / Block::kStepLength; b++) {
            __m512i values[kTiles][kTileRows];
            for (int64_t r = 0; r < kTileRows; r++) {
                const int64_t row = half * kTileRows + r;
                if (row >= weights.n_rows) {
                    for (int t = 0; t < kTiles; t++) values[t][r] = _mm512_setzero_si512();
                    continue;
                }
                const Block block(reinterpret_cast<const uint8_t*>(weights.rows + row * weights.row_bytes) + b * Block::kStepBytes);
                float scales[kTiles], mins[kTiles] = {};
                block.template store_scales<1>(scales, mins);
                // From memory a number comes to all lanes for nothing; GCC would take each out of a register instead.
                asm volatile("" : "+m"(scales), "+m"(mins));
                unrolled<Block::kSteps>([&]<int k>() __attribute__((always_inline)) {
                    const auto numbers = [&](int g) __attribute__((always_inline)) {
                        return _mm512_fmsub_ps(levels, Vector::set(scales[g]), Vector::set(mins[g]));
                    };
                    // The function's first argument becomes the upper half.
                    const auto table = (__m512i)_mm512_cvtne2ps_pbh(numbers(2 * k + 1), numbers(2 * k));
                    __m512i first, second;
                    FourBits<Block>::template load<k>(block, first, second);
                    values[2 * k][r] = _mm512_permutexvar_epi16(first, table);
                    values[2 * k + 1][r] = _mm512_permutexvar_epi16(_mm512_or_si512(second, _mm512_set1_epi16(16)), table);
                });
            }
            for (int t = 0; t < kTiles; t++)
                Vector::interleave(values[t], reinterpret_cast<uint8_t*>(panel) + ((b * kTiles + t) * 2 + half) * kTileBytes);
        }
    }
}

// All others. So few columns at a time that their codes stay in the first-level cache.
void expand_panels(const TileWeights& weights, std::byte* panel) {
    const DotKernel& kernel = *weights.kernel;
    constexpr int64_t kColumns = 256;
    const PanelForm& form = kernel.form;
    const auto expand = form.group == 32    ? form.has_minimums ? expand_codes<32, true> : expand_codes<32, false>
                           : form.has_minimums ? expand_codes<16, true>
                                            : expand_codes<16, false>;
    const float too_large = form.shift != 0 ? static_cast<float>(1 << form.shift) : 0.0f;
    std::byte* codes = panel + kRowsOfTilePanel * kTilePanelColumns * 2;
    for (int64_t first = 0; first < weights.n_cols; first += kColumns) {
        const int64_t some = weights.n_cols - first < kColumns ? weights.n_cols - first : kColumns;
        for (int64_t half = 0; half < 2; half++) {
            const int64_t left = weights.n_rows - half * kTileRows;
            kernel.expand(weights.rows + half * kTileRows * weights.row_bytes + first / kColumns * form.bytes, weights.row_bytes,
                          left < kTileRows ? left : kTileRows, some, codes);
            expand(codes, some, too_large, panel + first / kTileColumns * 2 * kTileBytes + half * kTileBytes);
        }
    }
}

void expand_tiles(const TileWeights& weights, std::byte* panel) {
    switch (weights.kernel->type) {
        case PONDER_TYPE_BF16:
            return expand_bf16(weights, panel);
        case BlockQ4K::kType:
            return expand_four_bits<BlockQ4K>(weights, panel);
        case BlockQ40::kType:
            return expand_four_bits<BlockQ40>(weights, panel);
        case BlockQ41::kType:
            return expand_four_bits<BlockQ41>(weights, panel);
        case BlockIq4Nl::kType:
            return expand_four_bits<BlockIq4Nl>(weights, panel);
        case BlockMxfp4::kType:
            return expand_four_bits<BlockMxfp4>(weights, panel);
        default:
            return expand_panels(weights, panel);
    }
}

void round_row(const float* src, int64_t n, int64_t step, std::byte* dst, std::byte* rest) {
    for (int64_t i = 0; i < n; i += kTileColumns, dst += step) {
        const auto lanes = [&](int64_t first) {
            const int64_t left = n - first;
            const uint32_t mask = left >= 16 ? 0xffffu : left <= 0 ? 0u : (1u << left) - 1u;
            return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), src + first);
        };
        const __m512 low = lanes(i), high = lanes(i + 16);
        _mm512_storeu_si512(dst, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        if (rest == nullptr) continue;
        const __m512 low_left = _mm512_sub_ps(low, Vector::widen_bf16(dst)), high_left = _mm512_sub_ps(high, Vector::widen_bf16(dst + 32));
        _mm512_storeu_si512(rest, (__m512i)_mm512_cvtne2ps_pbh(high_left, low_left));
        rest += step;
    }
}

// Columns of one or two blocks of activation rows, and from one tile of theirs to the next.
struct Source {
    const std::byte *first, *second;
    int64_t first_step, second_step;
};

// The tiles of sums, those of the second block of activation rows only where there is one.
template <bool has_second>
inline __attribute__((always_inline)) void clear_sums() {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (has_second) {
        _tile_zero(2);
        _tile_zero(3);
    }
}

template <bool has_second>
inline __attribute__((always_inline)) void add_products() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (has_second) {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

template <bool has_second>
inline __attribute__((always_inline)) void put_sums(float* sums) {
    _tile_stored(0, sums, kTileRowBytes);
    _tile_stored(1, sums + kSums, kTileRowBytes);
    if constexpr (has_second) {
        _tile_stored(2, sums + 2 * kSums, kTileRowBytes);
        _tile_stored(3, sums + 3 * kSums, kTileRowBytes);
    }
}

// Where the sums of activation row i lie: 16 here, and those of the other 16 weight rows kSums on.
inline int64_t place_of_sums(int64_t i) { return i / kTileRows * 2 * kSums + i % kTileRows * kTileRows; }

// Up to 32 activation rows over a panel of 32 weight rows.
template <bool has_second>
inline __attribute__((always_inline)) void multiply_block(const std::byte* panel, int64_t n_cols, Source x, float* sums, bool is_first) {
    if (is_first) {
        clear_sums<has_second>();
    } else {
        _tile_loadd(0, sums, kTileRowBytes);
        _tile_loadd(1, sums + kSums, kTileRowBytes);
        if constexpr (has_second) {
            _tile_loadd(2, sums + 2 * kSums, kTileRowBytes);
            _tile_loadd(3, sums + 3 * kSums, kTileRowBytes);
        }
    }
    for (int64_t k = 0; k < n_cols / kTileColumns; k++) {
        // All loads first: a processor whose neighbour uses the same tiles hides little behind a product. Activations pass by the
        // first-level cache, which is the panel's.
        _tile_loadd(6, panel, kTileRowBytes);
        _tile_stream_loadd(4, x.first, kTileRowBytes);
        _tile_loadd(7, panel + kTileBytes, kTileRowBytes);
        if constexpr (has_second) _tile_stream_loadd(5, x.second, kTileRowBytes);
        add_products<has_second>();
        panel += 2 * kTileBytes, x.first += x.first_step, x.second += x.second_step;
    }
    put_sums<has_second>(sums);
}

// Asks for weights, some at a time.
class Fetch {
  public:
    Fetch(const TileWeights* weights, int64_t n_times)
        : weights_(weights),
          lines_of_row_(weights != nullptr ? weights->n_bytes / 64 + 1 : 1),
          n_(weights != nullptr ? weights->n_rows * lines_of_row_ : 0),
          step_((n_ + n_times - 1) / n_times) {}
    void some() {
        for (const int64_t end = n_ - done_ < step_ ? n_ : done_ + step_; done_ < end; done_++)
            __builtin_prefetch(weights_->rows + done_ / lines_of_row_ * weights_->row_bytes + done_ % lines_of_row_ * 64, 0, 2);
    }

  private:
    const TileWeights* weights_;
    int64_t lines_of_row_, n_, step_, done_ = 0;
};

void multiply_tiles(const std::byte* panel, int64_t n_cols, const std::byte* x, const TiledRows& rows, int64_t first, float* sums,
                    bool is_first, const TileWeights* next) {
    constexpr int64_t kBlock = 2 * kTileRows;
    const int64_t n = rows.n_rows, row_bytes = rows.row_bytes();
    const auto begin = [&](int64_t i) { return x + i * row_bytes + first / kTileColumns * rows.step(i); };
    Fetch fetch(next, (n + kBlock - 1) / kBlock);
    int64_t i = 0;
    if (n >= kBlock) configure(kTileRows, kTileRows);
    for (; i + kBlock <= n; i += kBlock) {
        multiply_block<true>(panel, n_cols, {begin(i), begin(i + kTileRows), kTileBytes, kTileBytes}, sums + tile_sums(i), is_first);
        fetch.some();
    }
    if (const int64_t left = n - i; left > kTileRows) {
        configure(kTileRows, left - kTileRows);
        multiply_block<true>(panel, n_cols, {begin(i), begin(i + kTileRows), kTileBytes, rows.step(i + kTileRows)}, sums + tile_sums(i),
                             is_first);
    } else if (left > 0) {
        configure(left, 1);
        multiply_block<false>(panel, n_cols, {begin(i), nullptr, rows.step(i), 0}, sums + tile_sums(i), is_first);
    }
    _tile_release();
    fetch.some();
}

#include "kernels_amx_split.hpp"

void store_sums(const float* sums, int64_t n_x, int64_t n_rows, float* dst, int64_t dst_stride) {
    const int64_t panel_sums = tile_sums(n_x);
    for (int64_t i = 0; i < n_x; i++, dst += dst_stride) {
        const float* row = sums + place_of_sums(i);
        for (int64_t r = 0; r < n_rows; r += kTileRows) {
            const uint32_t mask = n_rows - r >= kTileRows ? 0xffffu : (1u << (n_rows - r)) - 1u;
            _mm512_mask_storeu_ps(dst + r, static_cast<__mmask16>(mask),
                                  Vector::load_floats(row + r / kRowsOfTilePanel * panel_sums + r / kTileRows % 2 * kSums));
        }
    }
}

void store_gated(const float* gates, const float* ups, int64_t first, int64_t n_cols, const TiledRows& rows, std::byte* dst) {
    const int64_t panel_sums = tile_sums(rows.n_rows);
    for (int64_t i = 0; i < rows.n_rows; i++) {
        const int64_t row = place_of_sums(i), step = rows.step(i);
        std::byte* to = dst + rows.place(i) + first / kTileColumns * step;
        for (int64_t r = 0; r < n_cols; r += kTileColumns, to += step) {
            const float *gate = gates + row + r / kRowsOfTilePanel * panel_sums, *up = ups + (gate - gates);
            const __m512 low = gated(Vector::load_floats(gate), Vector::load_floats(up)),
                         high = gated(Vector::load_floats(gate + kSums), Vector::load_floats(up + kSums));
            _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        }
    }
}

bool has_tiles(const DotKernel& kernel) { return kernel.type == PONDER_TYPE_BF16 || kernel.expand != nullptr; }

constexpr TileKernels kTileKernels = {round_row, has_tiles,      expand_tiles, multiply_tiles, split_turned,
                                      split,     multiply_split, store_sums,   store_gated};

// Linux lends a process the tiles' state only if it asks.
bool ask_for_tiles() {
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const Kernels* amx_kernels() {
    static const bool can_run = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
                                __builtin_cpu_supports("avx512bf16") && avx512_kernels() != nullptr && ask_for_tiles();
    if (!can_run) return nullptr;
    static const Kernels kernels = [] {
        Kernels table = *avx512_kernels();
        table.name = "amx";
        table.tiles = &kTileKernels;
        return table;
    }();
    return &kernels;
}

}  // namespace ponder::cpu

#else

const ponder::cpu::Kernels* ponder::cpu::amx_kernels() { return nullptr; }

#endif
