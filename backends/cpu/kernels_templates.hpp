// SPDX-License-Identifier: Apache-2.0
// The one algorithm of every instruction set, over the Vector that the including file has defined in its own anonymous namespace.
//
// Weights are read as stored, 64 codes a step. A step multiplies codes and activation codes in int8, exactly; the sums of four neighbours
// then take their scales in float32. What a format subtracts (an offset, a minimum) meets the activations' own sums.
#include "kernels_grids.hpp"

// Weights come from memory once and in order, faster than processors fetch ahead by themselves: they stop at the ends of pages.
constexpr int64_t kFetchAhead = 4096;
// Weight rows that stay in a cache while all activation rows pass.
constexpr int64_t kRowsAtOnce = 8;

template <class Block>
inline Vector::Ints dot(Vector::Bytes codes, const int8_t* x, const int32_t* neg_sums) {
    if constexpr (Block::kShift == 0 || Block::kTakesShift)
        return Vector::dot_unsigned(codes, x);
    else if constexpr (Block::kShift == kSigned)
        return Vector::dot_signed(codes, x, neg_sums);
    else
        return Vector::dot_offset<Block::kShift>(codes, x, neg_sums);
}

// Columns of a rounded row's codes and their sums, times rows, that stay in the first-level cache beside the weights; of woven codes twice
// as many do, which need no sums of four.
constexpr int64_t kCachedColumns = 8192;

// What comes later. In pieces of rows: the next row's piece to the first-level cache, and the next group of rows to the second, in order.
template <int n_bytes, bool in_pieces>
inline __attribute__((always_inline)) void fetch(const uint8_t* p, int64_t row_bytes, uintptr_t& later) {
    if (!in_pieces) return prefetch<n_bytes>(p, kFetchAhead);
    prefetch<n_bytes>(p, row_bytes);
    prefetch<n_bytes, 2>(nullptr, static_cast<int64_t>(later));
    later += n_bytes;
}

// Calls body(r, begin, end) for the pieces [begin, end) of n_steps, and within each for all weight rows r.
template <class Body>
inline __attribute__((always_inline)) void by_pieces(int64_t n_steps, int64_t n_pieces, int64_t n_rows, const Body& body) {
    const int64_t piece = (n_steps + n_pieces - 1) / n_pieces;
    for (int64_t begin = 0; begin < n_steps; begin += piece) {
        const int64_t end = begin + piece < n_steps ? begin + piece : n_steps;
        for (int64_t r = 0; r < n_rows; r++) body(r, begin, end);
    }
}

template <class Block, int N>
struct BlockSums {
    BlockSums() {
        for (int i = 0; i < N; i++) sums[i] = Vector::zero(), minimums[i] = Block::no_minimums();
    }
    Vector::Floats sums[N];
    typename Block::Minimums minimums[N];
};

// Adds to `totals` what steps [begin, end) of one weight row give with N rounded rows.
template <class Block, bool in_pieces, int N>
inline __attribute__((always_inline)) void add_blocks(const uint8_t* row, int64_t begin, int64_t end, int64_t row_bytes, uintptr_t& later,
                                                      const RoundedRow (&x)[N], BlockSums<Block, N>& totals) {
    BlockSums<Block, N> own = totals;
    for (int64_t b = begin; b < end; b++) {
        const uint8_t* p = row + b * Block::kStepBytes;
        fetch<Block::kStepBytes, in_pieces>(p, row_bytes, later);
        const Block block(p);
        typename Block::Scales scales[N];
        for (int i = 0; i < N; i++) scales[i] = block.scales_for(x[i], b);
        unrolled<Block::kSteps>([&]<int k>() __attribute__((always_inline)) {
            const Vector::Bytes codes = block.template codes<k>();
            const int64_t at = (b * Block::kSteps + k) * kRoundedStep;
            for (int i = 0; i < N; i++) {
                const Vector::Ints products = dot<Block>(codes, x[i].codes + at, x[i].neg_sums + at / 4);
                own.sums[i] = Vector::fma(Block::template spread<k>(scales[i]), Vector::to_floats(products), own.sums[i]);
            }
        });
        for (int i = 0; i < N; i++) block.take_minimums(x[i], b, own.minimums[i]);
    }
    totals = own;
}

// The first n_steps steps of n_rows <= kRowsAtOnce weight rows times N rounded rows: results[r][i].
template <class Block, bool in_pieces, int N>
inline __attribute__((always_inline)) void dot_blocks(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_steps,
                                                      int64_t n_pieces, const RoundedRow (&x)[N], float (&results)[kRowsAtOnce][N]) {
    uintptr_t later = reinterpret_cast<uintptr_t>(rows) + static_cast<uintptr_t>(kRowsAtOnce * row_bytes);
    BlockSums<Block, N> sums[kRowsAtOnce];
    by_pieces(
        n_steps, in_pieces ? n_pieces : 1, n_rows, [&](int64_t r, int64_t begin, int64_t end) __attribute__((always_inline)) {
            add_blocks<Block, in_pieces, N>(reinterpret_cast<const uint8_t*>(rows + r * row_bytes), begin, end, row_bytes, later, x,
                                            sums[r]);
        });
    for (int64_t r = 0; r < n_rows; r++) {
        for (int i = 0; i < N; i++) results[r][i] = Vector::sum(sums[r].sums[i]) - Block::total(sums[r].minimums[i]);
    }
}

#ifdef PONDER_KERNELS_WEAVE
#include "kernels_woven.hpp"
#endif

template <class Block>
constexpr bool is_woven() {
#ifdef PONDER_KERNELS_WEAVE
    return Woven<Block>::kExists;
#else
    return false;
#endif
}

// Adds what the steps of a weight row from element `done` on give with N rounded rows.
template <class Block, int N>
inline __attribute__((always_inline)) void add_rest(const uint8_t* p, int64_t n_cols, int64_t done, const RoundedRow (&x)[N],
                                                    float (&result)[N]) {
    const auto add = [&](const uint8_t* blocks, int64_t n_steps) __attribute__((always_inline)) {
        RoundedRow rest[N];
        for (int i = 0; i < N; i++) rest[i] = x[i].from(done);
        BlockSums<Block, N> more;
        uintptr_t later = 0;
        add_blocks<Block, false, N>(blocks, 0, n_steps, 0, later, rest, more);
        for (int i = 0; i < N; i++) result[i] += Vector::sum(more.sums[i]) - Block::total(more.minimums[i]);
        done += n_steps * Block::kStepLength;
    };
    const auto rest_of_row = [&] { return p + done / Block::kStepLength * Block::kStepBytes; };
    if (const int64_t n = (n_cols - done) / Block::kStepLength; n > 0) add(rest_of_row(), n);
    if constexpr (Block::kStepLength == 64) {
        // The last block of an odd number is read from a copy beside one whose scale is zero.
        if (done < n_cols) {
            uint8_t last[Block::kStepBytes] = {};
            copy_bytes(last, rest_of_row(), Block::kStepBytes / 2);
            add(last, 1);
        }
    }
}

// n_rows <= kRowsAtOnce weight rows times N rounded rows.
template <class Block, int N>
void dot_group(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_cols, const std::byte* x, int64_t x_stride, float* dst,
               int64_t dst_stride) {
    const RoundedLayout layout(n_cols);
    const std::byte* sources[N];
    RoundedRow views[N];
    for (int i = 0; i < N; i++) {
        sources[i] = x + i * x_stride;
        views[i] = RoundedRow(sources[i], layout);
    }
    float results[kRowsAtOnce][N] = {};
    constexpr int64_t kCached = (is_woven<Block>() ? 2 : 1) * kCachedColumns;
    const int64_t n_pieces = (n_cols * N + kCached - 1) / kCached;
    const auto multiply = [&]<bool in_pieces>() __attribute__((always_inline)) {
#ifdef PONDER_KERNELS_WEAVE
        if constexpr (is_woven<Block>()) return dot_woven<Block, in_pieces, N>(rows, row_bytes, n_rows, n_cols, n_pieces, sources, results);
#endif
        dot_blocks<Block, in_pieces, N>(rows, row_bytes, n_rows, n_cols / Block::kStepLength, n_pieces, views, results);
    };
    if (n_pieces > 1)
        multiply.template operator()<true>();
    else
        multiply.template operator()<false>();
    constexpr int64_t kStep = is_woven<Block>() ? 256 : Block::kStepLength;
    const int64_t done = n_cols / kStep * kStep;
    for (int64_t r = 0; r < n_rows; r++) {
        if (done < n_cols) add_rest<Block, N>(reinterpret_cast<const uint8_t*>(rows + r * row_bytes), n_cols, done, views, results[r]);
        for (int i = 0; i < N; i++) dst[i * dst_stride + r] = results[r][i];
    }
}

template <class Block>
void dot_rows(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_cols, const std::byte* x, int64_t x_stride, int64_t n_x,
              float* dst, int64_t dst_stride) {
    for (int64_t r = 0; r < n_rows; r += kRowsAtOnce) {
        const int64_t n = n_rows - r < kRowsAtOnce ? n_rows - r : kRowsAtOnce;
        const std::byte* weights = rows + r * row_bytes;
        const auto groups = [&]<int N>(int64_t i) {
            for (; i + N <= n_x; i += N)
                dot_group<Block, N>(weights, row_bytes, n, n_cols, x + i * x_stride, x_stride, dst + i * dst_stride + r, dst_stride);
            return i;
        };
        int64_t i = groups.template operator()<8>(0);
        i = groups.template operator()<4>(i);
        i = groups.template operator()<2>(i);
        groups.template operator()<1>(i);
    }
}

// ---- Float types: Load::at(p, i) widens elements i to i + 15 of a row, Load::one(p, i) a single one.

struct LoadF32 {
    static constexpr int kType = 0, kBytesOf32 = 128;
    static Vector::Floats at(const std::byte* p, int64_t i) { return Vector::load_floats(reinterpret_cast<const float*>(p + 4 * i)); }
    static float one(const std::byte* p, int64_t i) { return copy<float>(p + 4 * i); }
};

struct LoadF16 {
    static constexpr int kType = 1, kBytesOf32 = 64;
    static Vector::Floats at(const std::byte* p, int64_t i) { return Vector::widen_half(p + 2 * i); }
    static float one(const std::byte* p, int64_t i) { return half_at(p + 2 * i); }
};

struct LoadBf16 {
    static constexpr int kType = 30;
    static Vector::Floats at(const std::byte* p, int64_t i) { return Vector::widen_bf16(p + 2 * i); }
    static float one(const std::byte* p, int64_t i) { return from_bits<float>(uint32_t{copy<uint16_t>(p + 2 * i)} << 16); }
};

// A float row times an activation row, in four sums of 16 lanes and a rest.
template <class Load>
inline __attribute__((always_inline)) float dot_floats(const std::byte* p, const float* x, int64_t n) {
    constexpr int kSums = 4;
    Vector::Floats sums[kSums] = {Vector::zero(), Vector::zero(), Vector::zero(), Vector::zero()};
    int64_t j = 0;
    for (; j + 16 * kSums <= n; j += 16 * kSums) {
        for (int s = 0; s < kSums; s++) sums[s] = Vector::fma(Load::at(p, j + 16 * s), Vector::load_floats(x + j + 16 * s), sums[s]);
    }
    for (; j + 16 <= n; j += 16) sums[0] = Vector::fma(Load::at(p, j), Vector::load_floats(x + j), sums[0]);
    for (int s = 1; s < kSums; s++) sums[0] = Vector::add(sums[0], sums[s]);
    float result = Vector::sum(sums[0]);
    for (; j < n; j++) result += Load::one(p, j) * x[j];
    return result;
}

template <class Load>
void dot_float_rows(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_cols, const std::byte* x, int64_t x_stride,
                    int64_t n_x, float* dst, int64_t dst_stride) {
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t i = 0; i < n_x; i++)
            dst[i * dst_stride + r] = dot_floats<Load>(rows + r * row_bytes, reinterpret_cast<const float*>(x + i * x_stride), n_cols);
    }
}

template <class Load>
void widen_row(const std::byte* row, int64_t n, float* dst) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) Vector::store(dst + i, Load::at(row, i));
    for (; i < n; i++) dst[i] = Load::one(row, i);
}

constexpr float kF8Factor = 256.0f;  // f8_half's

// The factor of 128 columns of a row, and f8_half's.
inline float f8_scale(const std::byte* scales, int64_t row, int64_t n_cols, int64_t group) {
    const int64_t n_groups = (n_cols + kF8Columns - 1) / kF8Columns;
    return kF8Factor * copy<float>(scales + 4 * (row / kF8Columns * n_groups + group));
}

inline float f8_at(const std::byte* p) {
    const uint16_t half = f8_half(copy<uint8_t>(p));
    return half_at(&half);
}

// A row times N source rows.
template <int N>
inline void dot_f8_row(const std::byte* p, const std::byte* scales, int64_t row, int64_t n_cols, const float* x, float* dst,
                       int64_t dst_stride) {
    Vector::Floats sums[N];
    float rest[N] = {};
    for (int i = 0; i < N; i++) sums[i] = Vector::zero();
    for (int64_t begin = 0; begin < n_cols; begin += kF8Columns) {
        const float scale = f8_scale(scales, row, n_cols, begin / kF8Columns);
        if (begin + kF8Columns > n_cols) {
            for (int64_t j = begin; j < n_cols; j++) {
                for (int i = 0; i < N; i++) rest[i] += scale * f8_at(p + j) * x[i * n_cols + j];
            }
            break;
        }
        Vector::Floats products[N][2];
        for (int i = 0; i < N; i++) products[i][0] = products[i][1] = Vector::zero();
        unrolled<kF8Columns / 16>([&]<int k>() __attribute__((always_inline)) {
            const Vector::Floats weights = Vector::widen_f8(p + begin + 16 * k);
            for (int i = 0; i < N; i++)
                products[i][k % 2] = Vector::fma(weights, Vector::load_floats(x + i * n_cols + begin + 16 * k), products[i][k % 2]);
        });
        for (int i = 0; i < N; i++) sums[i] = Vector::fma(Vector::add(products[i][0], products[i][1]), Vector::set(scale), sums[i]);
    }
    for (int i = 0; i < N; i++) dst[i * dst_stride] = Vector::sum(sums[i]) + rest[i];
}

void dot_f8_rows(const std::byte* rows, const std::byte* scales, int64_t first, int64_t n_rows, int64_t n_cols, const float* x, int64_t n_x,
                 float* dst, int64_t dst_stride) {
    for (int64_t r = 0; r < n_rows; r++) {
        const auto groups = [&]<int N>(int64_t i) {
            for (; i + N <= n_x; i += N)
                dot_f8_row<N>(rows + r * n_cols, scales, first + r, n_cols, x + i * n_cols, dst + i * dst_stride + r, dst_stride);
            return i;
        };
        groups.template operator()<1>(groups.template operator()<4>(0));
    }
}

void widen_f8_row(const std::byte* row, const std::byte* scales, int64_t index, int64_t n_cols, float* dst) {
    for (int64_t begin = 0; begin < n_cols; begin += kF8Columns) {
        const float scale = f8_scale(scales, index, n_cols, begin / kF8Columns);
        const int64_t end = begin + kF8Columns < n_cols ? begin + kF8Columns : n_cols;
        int64_t j = begin;
        for (; j + 16 <= end; j += 16) Vector::store(dst + j, Vector::multiply(Vector::widen_f8(row + j), Vector::set(scale)));
        for (; j < end; j++) dst[j] = f8_at(row + j) * scale;
    }
}

#include "kernels_rows.hpp"

#include "kernels_attention.hpp"

#ifdef PONDER_KERNELS_HAVE_PANELS
#include "kernels_panels.hpp"
#else
template <class Block>
constexpr ExpandPanel expand_panel = nullptr;
template <class Block>
constexpr MultiplyPanel multiply_panel = nullptr;
#endif

template <class Block>
constexpr int32_t panels_from() {
#ifdef PONDER_KERNELS_WEAVE
    if (is_woven<Block>()) return Vector::kPanelsFromWoven;
#endif
    return Vector::kPanelsFrom;
}

template <class... Blocks>
struct DotTable {
    static constexpr DotKernel kRows[] = {
        {Blocks::kType, false, dot_rows<Blocks>, expand_panel<Blocks>, multiply_panel<Blocks>, panels_from<Blocks>()}...,
        {LoadF32::kType, true, dot_float_rows<LoadF32>, nullptr, nullptr, 0, widen_row<LoadF32>},
        {LoadF16::kType, true, dot_float_rows<LoadF16>, nullptr, nullptr, 0, widen_row<LoadF16>},
        {LoadBf16::kType, true, dot_float_rows<LoadBf16>, nullptr, nullptr, 0, widen_row<LoadBf16>}};
};

constexpr Kernels make_kernels(const char* name) {
    using Table = OfAllBlocks<DotTable>;
    return {.name = name,
            .dots = Table::kRows,
            .n_dots = sizeof Table::kRows / sizeof Table::kRows[0],
            .f8 = {dot_f8_rows, widen_f8_row},
            .round_row = round_row,
            .swiglu = swiglu,
            .add_and_square = add_and_square,
            .scale_by = scale_by,
            .add_weighted = add_weighted,
            .exponentials = exponentials,
            .largest = largest,
            .multiply_by = multiply_by,
            .caches = kCacheKernels,
            .product = product,
            .transpose = transpose};
}
