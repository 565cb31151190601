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

#include "kernels_exponential.hpp"

constexpr int64_t kTileRows = kRowsOfTile, kTileBytes = 1024, kSums = 256;
// Columns that one tile multiplies, and a tile's bytes of one row of them.
constexpr int64_t kTileColumns = 32, kTileRowBytes = 64;

// Tile registers, whose numbers GCC's functions want as digits: 0 to 3 are the sums of two blocks of activation rows times two of weight
// rows, 4 and 5 activations, 6 and 7 weights; or queries and keys or values.
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

// Rows that are asked for before they are expanded.
constexpr int64_t kAhead = 2;

// Calls row(r, where its columns go in the first tile) for the rows of a panel. Rows that are not there are zeros.
template <class Row>
inline __attribute__((always_inline)) void expand_rows(const TileWeights& weights, std::byte* panel, const Row& row) {
    for (int64_t r = 0; r < kRowsOfTilePanel; r++) {
        std::byte* to = panel + r / kTileRows * kTileBytes + r % kTileRows * kTileRowBytes;
        if (r < weights.n_rows) {
            for (int64_t i = 0; i < weights.n_bytes; i += 64) __builtin_prefetch(weights.rows + (r + kAhead) * weights.row_bytes + i);
            row(weights.rows + r * weights.row_bytes, to);
            continue;
        }
        for (int64_t t = 0; t < weights.n_cols / kTileColumns; t++, to += 2 * kTileBytes) _mm512_storeu_si512(to, _mm512_setzero_si512());
    }
}

void expand_bf16(const TileWeights& weights, std::byte* panel) {
    expand_rows(
        weights, panel, [&](const std::byte* row, std::byte* to) __attribute__((always_inline)) {
            for (int64_t t = 0; t < weights.n_cols / kTileColumns; t++, row += kTileRowBytes, to += 2 * kTileBytes)
                _mm512_storeu_si512(to, Vector::load(row));
        });
}

inline __attribute__((always_inline)) __m512i to_bf16(__m512 low, __m512 high) {
    // The function's first argument becomes the upper half.
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
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

template <class Block>
constexpr bool has_four_bits() {
    return requires { FourBits<Block>::levels(); };
}

// Codes of 64 columns from step k of a block on, to two tiles.
template <class Block, int k>
inline __attribute__((always_inline)) void expand_codes(const Block& block, const float* scales, const float* mins, std::byte* to) {
    constexpr bool is_unsigned = Block::kShift == 0;
    alignas(64) int8_t codes[kRoundedStep];
    const __m512i bytes = block.template codes<k>();
    _mm512_store_si512(codes,
                       Block::kShift == kSigned || is_unsigned ? bytes : _mm512_sub_epi8(bytes, _mm512_set1_epi8(1 << Block::kShift)));
    // Written once and read in quarters: to spread a register's quarters takes twice the shuffles.
    asm volatile("" : "+m"(codes));
    unrolled<2>([&]<int t>() __attribute__((always_inline)) {
        const auto numbers = [&]<int half>() __attribute__((always_inline)) {
            constexpr int at = 32 * t + 16 * half;
            const int g = (kRoundedStep * k + at) / Block::kGroup;
            const __m512 values =
                is_unsigned ? Vector::widen_u8x16(reinterpret_cast<const uint8_t*>(codes + at)) : Vector::widen_i8x16(codes + at);
            const __m512 scale = Vector::set(scales[g]);
            return Block::kHasMinimums ? _mm512_fmsub_ps(values, scale, Vector::set(mins[g])) : Vector::multiply(values, scale);
        };
        _mm512_storeu_si512(to + 2 * kTileBytes * t, to_bf16(numbers.template operator()<0>(), numbers.template operator()<1>()));
    });
}

// Sixteen numbers of each of two groups are all that codes of four bits can stand for: they are looked up.
template <class Block, int k>
inline __attribute__((always_inline)) void look_up_codes(const Block& block, const float* scales, const float* mins, std::byte* to) {
    const __m512 levels = FourBits<Block>::levels();
    const auto numbers = [&](int g) __attribute__((always_inline)) {
        return _mm512_fmsub_ps(levels, Vector::set(scales[g]), Vector::set(mins[g]));
    };
    const __m512i table = to_bf16(numbers(2 * k), numbers(2 * k + 1));
    __m512i first, second;
    FourBits<Block>::template load<k>(block, first, second);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(first, table));
    _mm512_storeu_si512(to + 2 * kTileBytes, _mm512_permutexvar_epi16(_mm512_or_si512(second, _mm512_set1_epi16(16)), table));
}

template <class Block>
void expand_blocks(const TileWeights& weights, std::byte* panel) {
    expand_rows(
        weights, panel, [&](const std::byte* row, std::byte* to) __attribute__((always_inline)) {
            for (int64_t b = 0; b < weights.n_cols / Block::kStepLength; b++, row += Block::kStepBytes) {
                const Block block(reinterpret_cast<const uint8_t*>(row));
                constexpr int kGroups = Block::kStepLength / Block::kGroup;
                float scales[kGroups], mins[kGroups] = {};
                block.template store_scales<1>(scales, mins);
                // From memory a number comes to all lanes for nothing; GCC would take each out of a register instead.
                asm volatile("" : "+m"(scales), "+m"(mins));
                unrolled<Block::kSteps>([&]<int k>() __attribute__((always_inline)) {
                    if constexpr (has_four_bits<Block>())
                        look_up_codes<Block, k>(block, scales, mins, to);
                    else
                        expand_codes<Block, k>(block, scales, mins, to);
                    to += 4 * kTileBytes;
                });
            }
        });
}

using Expand = void (*)(const TileWeights& weights, std::byte* panel);

template <class... Blocks>
struct ExpandTable {
    static Expand find(int32_t type) {
        Expand found = type == PONDER_TYPE_BF16 ? expand_bf16 : nullptr;
        ((type == Blocks::kType ? void(found = expand_blocks<Blocks>) : void()), ...);
        return found;
    }
};

Expand find_expand(const DotKernel& kernel) { return OfAllBlocks<ExpandTable>::find(kernel.type); }

void expand_tiles(const TileWeights& weights, std::byte* panel) {
    const Expand expand = find_expand(*weights.kernel);
    expand(weights, panel);
}

bool has_tiles(const DotKernel& kernel) { return find_expand(kernel) != nullptr; }

// Neighbouring columns of 16 rows, a row's in a lane, side by side as bfloat16.
inline __attribute__((always_inline)) __m512i pairs_of(__m512 even, __m512 odd) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                           18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, to_bf16(even, odd));
}

// Up to 32 columns of a row from `first` on.
struct Columns {
    Columns(const float* src, int64_t n, int64_t first) {
        const auto lanes = [&](int64_t begin) __attribute__((always_inline)) {
            const int64_t left = n - begin;
            const uint32_t mask = left >= 16 ? 0xffffu : left <= 0 ? 0u : (1u << left) - 1u;
            return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), src + begin);
        };
        low = lanes(first), high = lanes(first + 16);
    }
    // As bfloat16, of which they keep what that leaves.
    __m512i take() {
        const __m512i taken = to_bf16(low, high);
        const auto widen = [](__m256i x) __attribute__((always_inline)) {
            return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
        };
        low = _mm512_sub_ps(low, widen(_mm512_castsi512_si256(taken)));
        high = _mm512_sub_ps(high, widen(_mm512_extracti64x4_epi64(taken, 1)));
        return taken;
    }
    __m512 low, high;
};

// Up to 16 rows as the columns of tiles `step` bytes apart; the others are zeros. `rest`, unless null, takes what bfloat16 leaves.
void turn_rows(const float* const* rows, int64_t n_rows, int64_t n, int64_t step, std::byte* dst, std::byte* rest) {
    for (int64_t i = 0; i < n; i += kTileColumns, dst += step) {
        __m512i high[kTileRows], low[kTileRows];
        for (int64_t r = 0; r < kTileRows; r++) {
            Columns columns(rows[r < n_rows ? r : 0], r < n_rows ? n : 0, i);
            high[r] = columns.take();
            if (rest != nullptr) low[r] = columns.take();
        }
        Vector::interleave(high, reinterpret_cast<uint8_t*>(dst));
        if (rest == nullptr) continue;
        Vector::interleave(low, reinterpret_cast<uint8_t*>(rest));
        rest += step;
    }
}

void round_rows(const float* const* rows, int64_t n_rows, int64_t n, std::byte* dst, std::byte* rest) {
    turn_rows(rows, n_rows, n, kTileBytes, dst, rest);
}

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
inline __attribute__((always_inline)) void put_sums(float* sums) {
    _tile_stored(0, sums, kTileRowBytes);
    _tile_stored(1, sums + kSums, kTileRowBytes);
    if constexpr (has_second) {
        _tile_stored(2, sums + 2 * kSums, kTileRowBytes);
        _tile_stored(3, sums + 3 * kSums, kTileRowBytes);
    }
}

// A panel of 32 weight rows over one or two blocks of activation rows, x_bytes apart.
template <bool has_second>
inline __attribute__((always_inline)) void multiply_block(const std::byte* panel, int64_t n_cols, const std::byte* x, int64_t x_bytes,
                                                          float* sums, bool is_first) {
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
    for (int64_t k = 0; k < n_cols / kTileColumns; k++, panel += 2 * kTileBytes, x += kTileBytes) {
        // All loads first: a processor whose neighbour uses the same tiles hides little behind a product. Activations pass by the
        // first-level cache, which is the panel's.
        _tile_loadd(6, panel, kTileRowBytes);
        _tile_stream_loadd(4, x, kTileRowBytes);
        _tile_loadd(7, panel + kTileBytes, kTileRowBytes);
        if constexpr (has_second) _tile_stream_loadd(5, x + x_bytes, kTileRowBytes);
        _tile_dpbf16ps(0, 6, 4);
        _tile_dpbf16ps(1, 7, 4);
        if constexpr (has_second) {
            _tile_dpbf16ps(2, 6, 5);
            _tile_dpbf16ps(3, 7, 5);
        }
    }
    put_sums<has_second>(sums);
}

// Asks for weights, some at a time: for every other line, beside which the second-level cache takes its neighbour.
class Fetch {
  public:
    Fetch(const TileWeights* weights, int64_t n_times)
        : weights_(weights),
          lines_of_row_(weights != nullptr ? weights->n_bytes / 128 + 1 : 1),
          n_(weights != nullptr ? weights->n_rows * lines_of_row_ : 0),
          step_((n_ + n_times - 1) / n_times) {}
    void some() {
        for (const int64_t end = n_ - done_ < step_ ? n_ : done_ + step_; done_ < end; done_++)
            __builtin_prefetch(weights_->rows + done_ / lines_of_row_ * weights_->row_bytes + done_ % lines_of_row_ * 128, 0, 2);
    }

  private:
    const TileWeights* weights_;
    int64_t lines_of_row_, n_, step_, done_ = 0;
};

void multiply_tiles(const std::byte* panel, int64_t n_cols, const std::byte* x, const PairedRows& rows, int64_t first, float* sums,
                    bool is_first, const TileWeights* next) {
    const int64_t n_blocks = rows.n_blocks(), block_bytes = rows.block_bytes();
    Fetch fetch(next, (n_blocks + 1) / 2);
    x += first / kTileColumns * kTileBytes;
    configure(kTileRows, kTileRows);
    int64_t i = 0;
    for (; i + 2 <= n_blocks; i += 2, x += 2 * block_bytes, sums += 4 * kSums) {
        multiply_block<true>(panel, n_cols, x, block_bytes, sums, is_first);
        fetch.some();
    }
    if (i < n_blocks) {
        multiply_block<false>(panel, n_cols, x, 0, sums, is_first);
        fetch.some();
    }
    _tile_release();
}

#include "kernels_amx_split.hpp"

void store_sums(const float* sums, int64_t n_x, int64_t n_rows, float* dst, int64_t dst_stride) {
    const int64_t panel_sums = tile_sums(n_x);
    for (int64_t i = 0; i < n_x; i += kTileRows, dst += kTileRows * dst_stride, sums += 2 * kSums) {
        const int64_t some = n_x - i < kTileRows ? n_x - i : kTileRows;
        for (int64_t r = 0; r < n_rows; r += kTileRows) {
            const float* tile = sums + r / kRowsOfTilePanel * panel_sums + r / kTileRows % 2 * kSums;
            const uint32_t mask = n_rows - r >= kTileRows ? 0xffffu : (1u << (n_rows - r)) - 1u;
            __m512i lines[kTileRows];
            for (int64_t k = 0; k < kTileRows; k++) lines[k] = Vector::load(tile + k * kTileRows);
            Vector::turn(
                lines, [&](int64_t k, __m512i values) __attribute__((always_inline)) {
                    if (k < some) _mm512_mask_storeu_epi32(dst + k * dst_stride + r, static_cast<__mmask16>(mask), values);
                });
        }
    }
}

void store_gated(const float* gates, const float* ups, int64_t first, int64_t n_cols, const PairedRows& rows, std::byte* dst) {
    const int64_t panel_sums = tile_sums(rows.n_rows);
    dst += first / kTileColumns * kTileBytes;
    for (int64_t i = 0; i < rows.n_blocks(); i++, dst += rows.block_bytes(), gates += 2 * kSums, ups += 2 * kSums) {
        std::byte* to = dst;
        for (int64_t r = 0; r < n_cols; r += kTileColumns) {
            const float *gate = gates + r / kRowsOfTilePanel * panel_sums, *up = ups + (gate - gates);
            for (int64_t k = 0; k < kTileColumns; k += 2, gate += 2 * kTileRows, up += 2 * kTileRows, to += kTileRowBytes) {
                const auto numbers = [&](int64_t j) __attribute__((always_inline)) {
                    return gated(Vector::load_floats(gate + j), Vector::load_floats(up + j));
                };
                _mm512_storeu_si512(to, pairs_of(numbers(0), numbers(kTileRows)));
            }
        }
    }
}

constexpr TileKernels kTileKernels = {.has_tiles = has_tiles,
                                      .expand = expand_tiles,
                                      .round_rows = round_rows,
                                      .multiply = multiply_tiles,
                                      .store_sums = store_sums,
                                      .store_gated = store_gated,
                                      .split_row = split_row,
                                      .split_turned = split_turned,
                                      .split = split,
                                      .multiply_split = multiply_split};

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
