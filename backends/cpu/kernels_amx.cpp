// SPDX-License-Identifier: Apache-2.0
// Advanced Matrix Extensions with bfloat16: Sapphire Rapids and later. Everything that is not a product of many rows is AVX-512's.
#include "kernels.hpp"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "kernels_prologue.hpp"
#include "ponder/ponder_backend.h"

namespace ponder::cpu {

namespace {

#include "kernels_avx512.hpp"

#include "kernels_grids.hpp"

constexpr int64_t kTileRows = 16, kTileBytes = 1024;
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

template <class Block>
inline __attribute__((always_inline)) void expand_block(const Block& block, __m512i* dst) {
    constexpr int kGroups = Block::kStepLength / Block::kGroup;
    alignas(64) float scales[16], offsets[16] = {};
    block.template store_scales<1>(scales, offsets);
    // value = scale * code - offset; what unsigned codes are too large by is part of the offset.
    if constexpr (Block::kShift != 0 && Block::kShift != kSigned) {
        for (int g = 0; g < kGroups; g++) offsets[g] += scales[g] * static_cast<float>(1 << Block::kShift);
    }
    unrolled<Block::kSteps>([&]<int k>() __attribute__((always_inline)) {
        alignas(64) uint8_t bytes[kRoundedStep];
        _mm512_store_si512(bytes, block.template codes<k>());
        __m512 values[4];
        for (int q = 0; q < 4; q++) {
            const int g = static_cast<int>(k * kRoundedStep + 16 * q) / Block::kGroup;
            const __m512 codes = Block::kShift == kSigned ? Vector::widen_i8x16(reinterpret_cast<const int8_t*>(bytes + 16 * q))
                                                          : Vector::widen_u8x16(bytes + 16 * q);
            values[q] = _mm512_fmsub_ps(codes, Vector::set(scales[g]), Vector::set(offsets[g]));
        }
        // The function's first argument becomes the upper half.
        for (int h = 0; h < 2; h++) dst[(2 * k + h) * kTileRows] = (__m512i)_mm512_cvtne2ps_pbh(values[2 * h + 1], values[2 * h]);
    });
}

template <class Block>
void expand_tiles(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t first, int64_t n_cols, std::byte* panel) {
    constexpr int kTiles = Block::kStepLength / kTileColumns;
    for (int64_t half = 0; half < 2; half++) {
        const auto* p =
            reinterpret_cast<const uint8_t*>(rows + half * kTileRows * row_bytes) + first / Block::kStepLength * Block::kStepBytes;
        for (int64_t b = 0; b < n_cols / Block::kStepLength; b++) {
            __m512i values[kTiles][kTileRows];
            for (int64_t r = 0; r < kTileRows; r++) {
                if (half * kTileRows + r < n_rows) {
                    const uint8_t* block = p + r * row_bytes + b * Block::kStepBytes;
                    prefetch<Block::kStepBytes>(block, kRowsOfTilePanel * row_bytes);  // the next panel's
                    expand_block(Block(block), &values[0][r]);
                } else {
                    for (int t = 0; t < kTiles; t++) values[t][r] = _mm512_setzero_si512();
                }
            }
            for (int t = 0; t < kTiles; t++)
                Vector::interleave(values[t], reinterpret_cast<uint8_t*>(panel) + ((b * kTiles + t) * 2 + half) * kTileBytes);
        }
    }
}

// Sixteen weight rows of BF16 are a tile already, but for the order.
void expand_bf16_tiles(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t first, int64_t n_cols, std::byte* panel) {
    for (int64_t t = 0; t < n_cols / kTileColumns; t++) {
        for (int64_t half = 0; half < 2; half++) {
            __m512i values[kTileRows];
            for (int64_t r = 0; r < kTileRows; r++) {
                const int64_t row = half * kTileRows + r;
                values[r] = row < n_rows ? Vector::load(rows + row * row_bytes + 2 * first + t * kTileRowBytes) : _mm512_setzero_si512();
            }
            Vector::interleave(values, reinterpret_cast<uint8_t*>(panel) + (2 * t + half) * kTileBytes);
        }
    }
}

void round_row(const float* src, int64_t n, std::byte* dst, std::byte* rest) {
    for (int64_t i = 0; i < n; i += 32) {
        const auto lanes = [&](int64_t first) {
            const int64_t left = n - first;
            const uint32_t mask = left >= 16 ? 0xffffu : left <= 0 ? 0u : (1u << left) - 1u;
            return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), src + first);
        };
        const __m512 low = lanes(i), high = lanes(i + 16);
        _mm512_storeu_si512(dst + 2 * i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        if (rest == nullptr) continue;
        const __m512 low_left = _mm512_sub_ps(low, Vector::widen_bf16(dst + 2 * i)),
                     high_left = _mm512_sub_ps(high, Vector::widen_bf16(dst + 2 * i + 32));
        _mm512_storeu_si512(rest + 2 * i, (__m512i)_mm512_cvtne2ps_pbh(high_left, low_left));
    }
}

// Up to 32 activation rows over a panel of 32 weight rows.
template <bool has_second>
inline __attribute__((always_inline)) void multiply_block(const std::byte* panel, int64_t n_cols, const std::byte* x, int64_t x_stride,
                                                          float* sums, bool is_first) {
    constexpr int64_t kSums = kTileBytes / sizeof(float);
    if (is_first) {
        _tile_zero(0);
        _tile_zero(1);
        if constexpr (has_second) {
            _tile_zero(2);
            _tile_zero(3);
        }
    } else {
        _tile_loadd(0, sums, kTileRowBytes);
        _tile_loadd(1, sums + kSums, kTileRowBytes);
        if constexpr (has_second) {
            _tile_loadd(2, sums + 2 * kSums, kTileRowBytes);
            _tile_loadd(3, sums + 3 * kSums, kTileRowBytes);
        }
    }
    const std::byte* second = x + kTileRows * x_stride;
    const auto row_bytes = static_cast<size_t>(x_stride);
    for (int64_t k = 0; k < n_cols / kTileColumns; k++, panel += 2 * kTileBytes) {
        _tile_loadd(6, panel, kTileRowBytes);
        _tile_loadd(4, x + k * kTileRowBytes, row_bytes);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, panel + kTileBytes, kTileRowBytes);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (has_second) {
            _tile_loadd(5, second + k * kTileRowBytes, row_bytes);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums, kTileRowBytes);
    _tile_stored(1, sums + kSums, kTileRowBytes);
    if constexpr (has_second) {
        _tile_stored(2, sums + 2 * kSums, kTileRowBytes);
        _tile_stored(3, sums + 3 * kSums, kTileRowBytes);
    }
}

void multiply_tiles(const std::byte* panel, int64_t n_cols, const std::byte* x, int64_t x_stride, int64_t n_x, float* sums, bool is_first) {
    constexpr int64_t kBlock = 2 * kTileRows;
    int64_t i = 0;
    if (n_x >= kBlock) configure(kTileRows, kTileRows);
    for (; i + kBlock <= n_x; i += kBlock) multiply_block<true>(panel, n_cols, x + i * x_stride, x_stride, sums + tile_sums(i), is_first);
    if (const int64_t left = n_x - i; left > kTileRows) {
        configure(kTileRows, left - kTileRows);
        multiply_block<true>(panel, n_cols, x + i * x_stride, x_stride, sums + tile_sums(i), is_first);
    } else if (left > 0) {
        configure(left, 1);
        multiply_block<false>(panel, n_cols, x + i * x_stride, x_stride, sums + tile_sums(i), is_first);
    }
    _tile_release();
}

template <class... Blocks>
struct Expanders {
    static ExpandTiles find(int32_t type) {
        ExpandTiles found = nullptr;
        ((found = Blocks::kType == type ? expand_tiles<Blocks> : found), ...);
        return found;
    }
};

constexpr TileKernels kTileKernels = {round_row, multiply_tiles};

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
    static std::array<DotKernel, kMaxDots> dots;
    static const Kernels kernels = [] {
        Kernels table = *avx512_kernels();
        for (int32_t i = 0; i < table.n_dots; i++) {
            dots[static_cast<size_t>(i)] = table.dots[i];
            const int32_t type = table.dots[i].type;
            dots[static_cast<size_t>(i)].expand_tiles = type == PONDER_TYPE_BF16 ? expand_bf16_tiles : OfAllBlocks<Expanders>::find(type);
        }
        table.name = "amx";
        table.dots = dots.data();
        table.tiles = &kTileKernels;
        return table;
    }();
    return &kernels;
}

}  // namespace ponder::cpu

#else

const ponder::cpu::Kernels* ponder::cpu::amx_kernels() { return nullptr; }

#endif
