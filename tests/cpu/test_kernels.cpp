// SPDX-License-Identifier: Apache-2.0
// Every instruction set that runs here against plain C++. Needs nothing but the kernels, so that it can be built for other processors.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "cpu/activation.hpp"
#include "cpu/kernels.hpp"

namespace {

using namespace ponder::cpu;

struct Format {
    int32_t type;
    int64_t block_len, block_bytes;
    std::vector<int> halves;  // offsets of half-precision numbers, which must be finite
};

const std::vector<Format> kFormats = {
    {0, 1, 4, {}},          {1, 1, 2, {0}},         {30, 1, 2, {}},        {2, 32, 18, {0}},        {3, 32, 20, {0, 2}},
    {6, 32, 22, {0}},       {7, 32, 24, {0, 2}},    {8, 32, 34, {0}},      {10, 256, 84, {80, 82}}, {11, 256, 110, {108}},
    {12, 256, 144, {0, 2}}, {13, 256, 176, {0, 2}}, {14, 256, 210, {208}}, {20, 32, 18, {0}},       {23, 256, 136, {0}},
    {39, 32, 17, {}},       {16, 256, 66, {0}},     {17, 256, 74, {0}},    {22, 256, 82, {0}},      {18, 256, 98, {0}},
    {21, 256, 110, {0}},    {19, 256, 50, {0}},     {29, 256, 56, {}},
};

struct alignas(64) Line {
    std::byte bytes[64];
};

int n_failed = 0;

void check(bool is_right, const char* kernels, int type, const char* what, double got, double expected) {
    if (is_right) return;
    n_failed++;
    std::printf("%s, type %d, %s: %.9g instead of %.9g\n", kernels, type, what, got, expected);
}

// Relative to `size`, what the terms of the sum come to: float32 sums in another order.
bool is_near(double got, double expected, double size) { return std::fabs(got - expected) <= 2e-5 * size + 1e-12; }

std::vector<std::byte> make_rows(const Format& format, int64_t n_blocks, std::mt19937& random) {
    std::vector<std::byte> rows(static_cast<size_t>(n_blocks * format.block_bytes));
    for (auto& b : rows) b = static_cast<std::byte>(random());
    for (int64_t b = 0; b < n_blocks; b++) {
        std::byte* block = rows.data() + b * format.block_bytes;
        for (const int at : format.halves) {
            const auto half = static_cast<uint16_t>(0x2000u + random() % 0x1000u + (random() % 2 << 15));
            std::memcpy(block + at, &half, sizeof half);
        }
        if (format.type == 0 || format.type == 30) {
            const float value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
            uint32_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            const auto high = static_cast<uint16_t>(bits >> 16);
            format.type == 0 ? std::memcpy(block, &bits, 4) : std::memcpy(block, &high, 2);
        }
        if (format.type == 29) block[55] = static_cast<std::byte>(0x20u | (random() & 0x8fu));  // IQ1_M's half is in upper nibbles
        if (format.type == 39) block[0] = static_cast<std::byte>(120 + random() % 10);
    }
    return rows;
}

void compare_panels(const Kernels& kernels, const DotKernel& own, int type, const std::vector<std::byte>& rows, int64_t row_bytes,
                    int64_t n_rows, int64_t n_cols, const std::byte* x, int64_t stride, int64_t n_x, const std::vector<float>& expected,
                    double size) {
    if (own.multiply == nullptr || n_cols % 64 != 0 || n_rows > kRowsOfPanel) return;
    std::vector<std::byte> panel(static_cast<size_t>(panel_bytes(n_cols)));
    std::vector<float> got(static_cast<size_t>(n_x * n_rows), NAN);
    own.expand(rows.data(), row_bytes, n_rows, n_cols, panel.data());
    own.multiply(panel.data(), n_cols, x, stride, n_x, got.data(), n_rows, n_rows);
    for (size_t i = 0; i < got.size(); i++)
        check(is_near(got[i], expected[i], size), kernels.name, type, "a product from a panel", got[i], expected[i]);
}

// bfloat16 keeps eight bits of each factor; where weights are bfloat16 themselves, two of them keep 16 of the activations.
void compare_tiles(const Kernels& kernels, const DotKernel& own, int type, const std::vector<std::byte>& rows, int64_t row_bytes,
                   int64_t n_rows, int64_t n_cols, const std::vector<float>& x, int64_t n_x, const std::vector<float>& expected,
                   double size) {
    if (kernels.tiles == nullptr || !kernels.tiles->has_tiles(own) || n_cols % 64 != 0) return;
    constexpr int64_t kColumns = 256;  // several panels
    const bool is_pair = own.takes_floats;
    const PairedRows paired = {n_x, n_cols};
    std::vector<Line> rounded(static_cast<size_t>(2 * paired.n_bytes()) / sizeof(Line)), panel(kTilePanelBytes / sizeof(Line)),
        sums(static_cast<size_t>(tile_sums(n_x)) * sizeof(float) / sizeof(Line));
    auto* first_row = reinterpret_cast<std::byte*>(rounded.data());
    for (int64_t i = 0; i < n_x; i += kRowsOfTile) {
        const float* sources[kRowsOfTile];
        const int64_t some = std::min(kRowsOfTile, n_x - i);
        for (int64_t j = 0; j < some; j++) sources[j] = x.data() + (i + j) * n_cols;
        std::byte* block = first_row + i / kRowsOfTile * paired.block_bytes();
        kernels.tiles->round_rows(sources, some, n_cols, block, is_pair ? block + paired.n_bytes() : nullptr);
    }
    auto* panel_bytes = reinterpret_cast<std::byte*>(panel.data());
    auto* all_sums = reinterpret_cast<float*>(sums.data());
    const auto weights_of = [&](int64_t first) {
        const int64_t some = std::min(kColumns, n_cols - first);
        const auto bytes_of = [&](int64_t n) { return n * row_bytes / n_cols; };
        return TileWeights{&own, rows.data() + bytes_of(first), row_bytes, n_rows, some, bytes_of(some)};
    };
    for (int64_t first = 0; first < n_cols; first += kColumns) {
        const TileWeights weights = weights_of(first), next = first + kColumns < n_cols ? weights_of(first + kColumns) : weights;
        kernels.tiles->expand(weights, panel_bytes);
        for (int term = 0; term < (is_pair ? 2 : 1); term++) {
            kernels.tiles->multiply(panel_bytes, weights.n_cols, first_row + term * paired.n_bytes(), paired, first, all_sums,
                                    first == 0 && term == 0, term == 0 ? &next : nullptr);
        }
    }
    std::vector<float> got(static_cast<size_t>(n_x * n_rows), NAN);
    kernels.tiles->store_sums(all_sums, n_x, n_rows, got.data(), n_rows);
    for (size_t i = 0; i < got.size(); i++) {
        check(std::fabs(got[i] - expected[i]) <= (is_pair ? 2e-5 : 0x1p-5) * size, kernels.name, type, "a product from tiles", got[i],
              expected[i]);
    }
}

// Against plain arithmetic on what a byte means: sign, four bits of exponent (less 7), three of mantissa; the largest is no number.
double f8_value(uint8_t x) {
    const int exponent = x >> 3 & 15, mantissa = x & 7;
    const double value = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    return (x & 0x7f) == 0x7f ? NAN : x < 128 ? value : -value;
}

void compare_f8(const Kernels& kernels, std::mt19937& random) {
    constexpr int kType = -8;
    for (const int64_t n_cols : {16, 100, 128, 300, 512}) {
        constexpr int64_t kFirst = 120, kRows = 20, kSources = 5;  // rows of two blocks
        const int64_t n_groups = (n_cols + kF8Columns - 1) / kF8Columns;
        std::vector<std::byte> rows(static_cast<size_t>(kRows * n_cols));
        for (size_t i = 0; i < rows.size(); i++) rows[i] = static_cast<std::byte>(random() % 127 + random() % 2 * 128);
        for (int64_t i = 0; i < n_cols; i++)
            rows[static_cast<size_t>(i)] = static_cast<std::byte>(i);  // all bytes, those that are no numbers too
        const auto value = [&](int64_t r, int64_t i) { return f8_value(static_cast<uint8_t>(rows[static_cast<size_t>(r * n_cols + i)])); };
        std::vector<float> scales(static_cast<size_t>(2 * n_groups)), x(static_cast<size_t>(kSources * n_cols)),
            wide(static_cast<size_t>(n_cols)), got(static_cast<size_t>(kSources * kRows), NAN);
        std::normal_distribution<float> normal;
        for (float& v : scales) v = 1.0f + 0.25f * normal(random);
        for (float& v : x) v = normal(random);
        const auto scale = [&](int64_t r, int64_t i) { return scales[static_cast<size_t>((kFirst + r) / 128 * n_groups + i / 128)]; };
        const auto* bytes = reinterpret_cast<const std::byte*>(scales.data());
        for (int64_t r = 0; r < kRows; r++) {
            kernels.f8.widen(rows.data() + r * n_cols, bytes, kFirst + r, n_cols, wide.data());
            for (int64_t i = 0; i < n_cols; i++) {
                const double expected = value(r, i) * double{scale(r, i)}, own = wide[static_cast<size_t>(i)];
                check(std::isnan(expected) ? std::isnan(own) : is_near(own, expected, std::fabs(expected)), kernels.name, kType, "a float",
                      own, expected);
            }
        }
        kernels.f8.dot(rows.data(), bytes, kFirst, kRows, n_cols, x.data(), kSources, got.data(), kRows);
        for (int64_t s = 0; s < kSources; s++) {
            for (int64_t r = 0; r < kRows; r++) {
                double sum = 0.0, size = 0.0;
                for (int64_t i = 0; i < n_cols; i++) {
                    const double term = value(r, i) * double{scale(r, i)} * double{x[static_cast<size_t>(s * n_cols + i)]};
                    sum += term, size += std::fabs(term);
                }
                const double own = got[static_cast<size_t>(s * kRows + r)];
                check(std::isnan(sum) ? std::isnan(own) : is_near(own, sum, size), kernels.name, kType, "a product", own, sum);
            }
        }
    }
}

void compare_dots(const Kernels& kernels, const Kernels& plain, const Format& format, std::mt19937& random) {
    const DotKernel *own = kernels.find_dot(format.type), *base = plain.find_dot(format.type);
    check(own != nullptr && base != nullptr, kernels.name, format.type, "a kernel", 0, 1);
    if (own == nullptr || base == nullptr) return;
    // The last two are longer than a cache's piece, for several source rows and for one, and end within one.
    for (const int64_t n_blocks : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{7}, int64_t{16}, int64_t{27}, 3200 / format.block_len + 1,
                                   format.block_len == 1 ? int64_t{64} : 16640 / format.block_len + 1}) {
        const int64_t n_cols = n_blocks * format.block_len * (format.block_len == 1 ? 13 : 1), n_rows = n_blocks == 7 ? 21 : 11;
        const int64_t row_bytes = n_cols / format.block_len * format.block_bytes;
        const auto rows = make_rows(format, n_rows * n_cols / format.block_len, random);
        for (const int64_t n_x : {1, 2, 3, 4, 9, 29, 67}) {
            if (n_cols > 10000 && n_x > 3) break;
            std::vector<float> x(static_cast<size_t>(n_x * n_cols));
            std::normal_distribution<float> normal;
            for (float& v : x) v = normal(random);
            const int64_t stride = own->takes_floats ? n_cols * 4 : RoundedLayout(n_cols).n_bytes;
            std::vector<std::byte> rounded(static_cast<size_t>(n_x * stride)), plainly(rounded.size());
            for (int64_t i = 0; i < n_x && !own->takes_floats; i++) {
                kernels.round_row(x.data() + i * n_cols, n_cols, rounded.data() + i * stride);
                plain.round_row(x.data() + i * n_cols, n_cols, plainly.data() + i * stride);
            }
            check(std::memcmp(rounded.data(), plainly.data(), static_cast<size_t>(n_cols)) == 0, kernels.name, format.type, "codes", 1, 0);
            const auto* source = own->takes_floats ? reinterpret_cast<const std::byte*>(x.data()) : rounded.data();
            std::vector<float> got(static_cast<size_t>(n_x * n_rows), NAN), expected(got), alone(static_cast<size_t>(n_rows));
            if (own->takes_floats) {
                std::vector<float> wide(static_cast<size_t>(n_cols)), plainly_wide(wide);
                own->widen(rows.data(), n_cols, wide.data());
                base->widen(rows.data(), n_cols, plainly_wide.data());
                for (size_t i = 0; i < wide.size(); i++)
                    check(wide[i] == plainly_wide[i], kernels.name, format.type, "a float", wide[i], plainly_wide[i]);
            }
            own->dot(rows.data(), row_bytes, n_rows, n_cols, source, stride, n_x, got.data(), n_rows);
            base->dot(rows.data(), row_bytes, n_rows, n_cols, source, stride, n_x, expected.data(), n_rows);
            double size = 0.0;
            for (const float v : expected) size = std::fmax(size, std::fabs(v));
            for (size_t i = 0; i < got.size(); i++)
                check(is_near(got[i], expected[i], size), kernels.name, format.type, "a product", got[i], expected[i]);
            compare_panels(kernels, *own, format.type, rows, row_bytes, n_rows, n_cols, source, stride, n_x, expected, size);
            compare_tiles(kernels, *own, format.type, rows, row_bytes, n_rows, n_cols, x, n_x, expected, size);
            // The same bits for a row alone.
            own->dot(rows.data(), row_bytes, n_rows, n_cols, source + (n_x - 1) * stride, stride, 1, alone.data(), n_rows);
            for (int64_t r = 0; r < n_rows; r++) {
                const float together = got[static_cast<size_t>((n_x - 1) * n_rows + r)];
                check(together == alone[static_cast<size_t>(r)], kernels.name, format.type, "a product alone",
                      alone[static_cast<size_t>(r)], together);
            }
        }
    }
}

void compare_rows(const Kernels& kernels, std::mt19937& random) {
    std::normal_distribution<float> normal(0.0f, 4.0f);
    for (const int64_t n : {1, 5, 16, 33, 200}) {
        const auto size = static_cast<size_t>(n);
        std::vector<float> x(size), y(size), out(size), delta(size);
        for (float& v : x) v = normal(random);
        for (float& v : y) v = normal(random);
        for (float& v : delta) v = normal(random);
        kernels.swiglu(x.data(), y.data(), out.data(), n);
        for (size_t i = 0; i < size; i++) {
            const double exact = x[i] / (1.0 + std::exp(-double{x[i]})) * y[i];
            check(is_near(out[i], exact, std::fabs(exact)), kernels.name, -1, "swiglu", out[i], exact);
        }
        std::vector<float> sum = x;
        double squares = 0.0;
        for (size_t i = 0; i < size; i++) squares += double{x[i] + delta[i]} * (x[i] + delta[i]);
        const double got = kernels.add_and_square(sum.data(), delta.data(), n);
        check(is_near(got, squares, squares), kernels.name, -1, "a sum of squares", got, squares);
        check(sum[size - 1] == x[size - 1] + delta[size - 1], kernels.name, -1, "a sum", sum[size - 1], x[size - 1] + delta[size - 1]);
        kernels.scale_by(x.data(), y.data(), 0.5f, out.data(), n);
        check(out[size - 1] == x[size - 1] * 0.5f * y[size - 1], kernels.name, -1, "a scaled row", out[size - 1],
              x[size - 1] * 0.5f * y[size - 1]);
        float top = x[0];
        for (const float v : x) top = std::fmax(top, v);
        check(kernels.largest(x.data(), n) == top, kernels.name, -1, "the largest", kernels.largest(x.data(), n), top);
        std::vector<float> e = x;
        double total = 0.0;
        for (const float v : x) total += std::exp(double{v} - top);
        const double exponentials = kernels.exponentials(e.data(), n, top);
        check(is_near(exponentials, total, total), kernels.name, -1, "a sum of exponentials", exponentials, total);
        check(is_near(e[0], std::exp(double{x[0]} - top), std::exp(double{x[0]} - top)), kernels.name, -1, "an exponential", e[0],
              std::exp(double{x[0]} - top));
        // What is not finite stays so.
        std::vector<std::byte> rounded(static_cast<size_t>(RoundedLayout(n).n_bytes));
        x[size / 2] = n % 2 != 0 ? INFINITY : NAN;
        kernels.round_row(x.data(), n, rounded.data());
        float scale;
        std::memcpy(&scale, rounded.data() + RoundedLayout(n).scales32 + n / 2 / 32 * 4, 4);
        check(std::isnan(scale), kernels.name, -1, "the scale of a row that is not finite", scale, NAN);
    }
}

// What attention does with cached rows, each against sums in double.
void compare_cached(const Kernels& kernels, std::mt19937& random) {
    constexpr int64_t kWidth = 96, kFirst = 32, kQueries = 7;
    std::normal_distribution<float> normal;
    for (const Format& format : {Format{0, 1, 4, {}}, Format{1, 1, 2, {0}}, Format{8, 32, 34, {0}}}) {
        const CacheKernels& cache = *kernels.find_cache(format.type);
        for (const int64_t n : {16, 64}) {
            for (const int64_t n_tokens : {1, 6, 21}) {
                const int64_t row_bytes = kWidth / format.block_len * format.block_bytes;
                const auto rows = make_rows(format, n_tokens * kWidth / format.block_len, random);
                std::vector<float> wide(static_cast<size_t>(n_tokens * n)), q(static_cast<size_t>(kQueries * n)),
                    scores(kQueries * 32, NAN), products(scores), turned(static_cast<size_t>(n * 32), NAN);
                for (float& v : q) v = normal(random);
                for (int64_t t = 0; t < n_tokens; t++) cache.widen(rows.data() + t * row_bytes, kFirst, n, wide.data() + t * n);
                const auto* p = rows.data() + (n_tokens - 1) * row_bytes;
                const auto half = [](const std::byte* at) {
                    float value[16];
                    generic_kernels()->find_cache(1)->widen(at, 0, 16, value);
                    return value[0];
                };
                float first = 0.0f;
                if (format.type == 0) std::memcpy(&first, p + 4 * kFirst, 4);
                if (format.type == 1) first = half(p + 2 * kFirst);
                if (format.type == 8) first = half(p + 34) * static_cast<float>(static_cast<int8_t>(p[36]));
                check(wide[static_cast<size_t>((n_tokens - 1) * n)] == first, kernels.name, format.type, "a cached number",
                      wide[static_cast<size_t>((n_tokens - 1) * n)], first);
                const StoredRows stored{rows.data(), row_bytes, kFirst, n == 16 ? rows.data() : nullptr};
                cache.score(q.data(), kQueries, stored, n_tokens, n, 0.25f, scores.data(), 32);
                kernels.transpose(wide.data(), n, n_tokens, n, turned.data(), 32);
                kernels.product(q.data(), n, kQueries, turned.data(), 32, n, (n_tokens + 15) / 16 * 16, products.data(), 32, false);
                std::vector<float> sums(q), tiles(q);
                cache.add_weighted(scores.data(), 32, kQueries, stored, n_tokens, sums.data(), n);
                kernels.product(scores.data(), 32, kQueries, wide.data(), n, n_tokens, n, tiles.data(), n, true);
                for (int64_t h = 0; h < kQueries; h++) {
                    for (int64_t t = 0; t < n_tokens; t++) {
                        double dot = 0.0, terms = 0.0;
                        for (int64_t i = 0; i < n; i++) {
                            const double term = double{q[static_cast<size_t>(h * n + i)]} * wide[static_cast<size_t>(t * n + i)];
                            dot += term, terms += std::fabs(term);
                        }
                        const float score = scores[static_cast<size_t>(h * 32 + t)], product = products[static_cast<size_t>(h * 32 + t)];
                        check(is_near(score, 0.25 * dot, 0.25 * terms), kernels.name, format.type, "a score", score, 0.25 * dot);
                        check(is_near(product, dot, terms), kernels.name, format.type, "a score in a tile", product, dot);
                    }
                    for (int64_t i = 0; i < n; i++) {
                        double sum = q[static_cast<size_t>(h * n + i)], terms = std::fabs(sum);
                        for (int64_t t = 0; t < n_tokens; t++) {
                            const double term = double{scores[static_cast<size_t>(h * 32 + t)]} * wide[static_cast<size_t>(t * n + i)];
                            sum += term, terms += std::fabs(term);
                        }
                        const float got = sums[static_cast<size_t>(h * n + i)], tile = tiles[static_cast<size_t>(h * n + i)];
                        check(is_near(got, sum, terms), kernels.name, format.type, "a weighted sum", got, sum);
                        check(is_near(tile, sum, terms), kernels.name, format.type, "a weighted sum in a tile", tile, sum);
                    }
                }
            }
        }
    }
    const float weights[] = {0.5f, -2.0f}, rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    std::vector<float> sums(17, 1.0f);
    kernels.add_weighted(weights, rows, 1, 2, sums.data(), 17);
    for (int i = 0; i < 17; i++) {
        const float expected = 1.0f + 0.5f * rows[i] - 2.0f * rows[i + 1];
        check(sums[static_cast<size_t>(i)] == expected, kernels.name, -1, "a sum of rows", sums[static_cast<size_t>(i)], expected);
    }
}

// Float32 matrices as two of bfloat16: 16 bits of each factor, and three of the four products of their parts.
void compare_split(const Kernels& kernels, std::mt19937& random) {
    if (kernels.tiles == nullptr) return;
    std::normal_distribution<float> normal;
    for (const int64_t n_left : {1, 16, 31, 72}) {
        for (const int64_t depth : {1, 32, 100}) {
            for (const int64_t n : {16, 64, 80}) {
                const TiledRows tiled = {n_left, depth};
                std::vector<Line> left(static_cast<size_t>(2 * tiled.n_bytes()) / sizeof(Line)),
                    right(static_cast<size_t>(2 * split_bytes(depth, n)) / sizeof(Line));
                auto *left_bytes = reinterpret_cast<std::byte*>(left.data()), *right_bytes = reinterpret_cast<std::byte*>(right.data());
                std::vector<float> a(static_cast<size_t>(n_left * depth)), b(static_cast<size_t>(depth * n)), turned(b);
                for (float& v : a) v = normal(random);
                for (float& v : b) v = normal(random);
                for (int64_t k = 0; k < depth; k++) {
                    for (int64_t j = 0; j < n; j++) turned[static_cast<size_t>(j * depth + k)] = b[static_cast<size_t>(k * n + j)];
                }
                for (int64_t i = 0; i < n_left; i++) {
                    std::byte* row = left_bytes + tiled.place(i);
                    kernels.tiles->split_row(a.data() + i * depth, depth, tiled.step(i), row, row + tiled.n_bytes());
                }
                for (const bool adds : {false, true}) {
                    if (adds)
                        kernels.tiles->split_turned(turned.data(), depth, depth, n, right_bytes);
                    else
                        kernels.tiles->split(b.data(), n, depth, n, right_bytes);
                    const int64_t first = n_left > 16 ? 16 : 0, stride = n + 5;
                    std::vector<float> got(static_cast<size_t>(n_left * stride), 3.0f);
                    kernels.tiles->multiply_split(left_bytes, tiled, first, right_bytes, n, got.data() + first * stride, stride, adds);
                    for (int64_t i = 0; i < n_left; i++) {
                        for (int64_t j = 0; j < stride; j++) {
                            const bool is_written = i >= first && j < n;
                            double sum = !is_written || adds ? 3.0 : 0.0, size = sum;
                            for (int64_t k = 0; is_written && k < depth; k++) {
                                const double term = double{a[static_cast<size_t>(i * depth + k)]} * b[static_cast<size_t>(k * n + j)];
                                sum += term, size += std::fabs(term);
                            }
                            const float own = got[static_cast<size_t>(i * stride + j)];
                            check(std::fabs(own - sum) <= 3 * 0x1p-16 * size, kernels.name, -1, "a product of split matrices", own, sum);
                        }
                    }
                }
            }
        }
    }
}

// Squared errors of rounded rows beside those of the scale that gives the largest element the code 127, and the scales' own bias.
void compare_rounding(const Kernels& kernels, std::mt19937& random) {
    constexpr int64_t kColumns = 1000;
    const RoundedLayout at(kColumns);
    std::normal_distribution<float> normal;
    std::vector<float> x(kColumns), scales(static_cast<size_t>(at.n_padded / 32));
    std::vector<std::byte> row(static_cast<size_t>(at.n_bytes));
    double error = 0.0, plain_error = 0.0, along = 0.0, size = 0.0;
    for (int i = 0; i < 50; i++) {
        for (float& v : x) v = normal(random);
        kernels.round_row(x.data(), kColumns, row.data());
        std::memcpy(scales.data(), row.data() + at.scales32, scales.size() * sizeof(float));
        for (int64_t begin = 0; begin < kColumns; begin += 32) {
            const int64_t end = std::min(begin + 32, kColumns);
            float top = 0.0f;
            for (int64_t j = begin; j < end; j++) top = std::fmax(top, std::fabs(x[static_cast<size_t>(j)]));
            for (int64_t j = begin; j < end; j++) {
                const double v = x[static_cast<size_t>(j)],
                             rounded = double{scales[static_cast<size_t>(j / 32)]} * static_cast<int8_t>(row[static_cast<size_t>(j)]);
                const double plainly = std::nearbyint(v * 127.0 / top) * top / 127.0;
                error += (v - rounded) * (v - rounded);
                plain_error += (v - plainly) * (v - plainly);
                along += (v - rounded) * rounded;
                size += v * v;
            }
        }
    }
    check(error < 0.88 * plain_error, kernels.name, -1, "squared error of rounding", error, 0.88 * plain_error);
    check(std::fabs(along) < 1e-6 * size, kernels.name, -1, "error along the row", along, 0.0);
}

}  // namespace

// Arguments: instruction sets; none: all. Exit status 77: this processor has none of them.
int main(int argc, char** argv) {
    const Kernels& plain = *generic_kernels();
    int n_compared = 0;
    for (const char* name : {"generic", "avx2", "avx512", "amx", "neon", "i8mm"}) {
        const auto is_name = [name](const char* argument) { return std::strcmp(argument, name) == 0; };
        if (argc > 1 && std::none_of(argv + 1, argv + argc, is_name)) continue;
        const Kernels* kernels = find_kernels(name);
        std::printf("%s: %s\n", name, kernels != nullptr ? "compared" : "skipped, not on this processor");
        if (kernels == nullptr) continue;
        n_compared++;
        std::mt19937 random(7);
        compare_f8(*kernels, random);
        for (const Format& format : kFormats) compare_dots(*kernels, plain, format, random);
        compare_rounding(*kernels, random);
        compare_rows(*kernels, random);
        compare_cached(*kernels, random);
        compare_split(*kernels, random);
    }
    std::printf("%d failures\n", n_failed);
    if (n_failed > 0) return 1;
    return n_compared > 0 ? 0 : 77;
}
