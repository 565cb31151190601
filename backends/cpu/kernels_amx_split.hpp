// SPDX-License-Identifier: Apache-2.0
// Products of float32 matrices in AMX's tiles: each is the sum of two of bfloat16, and of the four products of their parts all but that of
// the smaller ones is taken. Included inside the anonymous namespace of kernels_amx.cpp.

void split_row(const float* src, int64_t n, int64_t step, std::byte* dst, std::byte* rest) {
    for (int64_t i = 0; i < n; i += kTileColumns, dst += step, rest += step) {
        Columns columns(src, n, i);
        _mm512_storeu_si512(dst, columns.take());
        _mm512_storeu_si512(rest, columns.take());
    }
}

void split_turned(const float* src, int64_t stride, int64_t depth, int64_t n, std::byte* dst) {
    const int64_t panel_bytes = split_bytes(depth, 2 * kTileRows);
    std::byte* rest = dst + split_bytes(depth, n);
    for (int64_t j = 0; j < n; j += kTileRows) {
        const int64_t panel = j / kRowsOfTilePanel * panel_bytes + j / kTileRows % 2 * kTileBytes;
        const float* rows[kTileRows];
        for (int64_t r = 0; r < kTileRows; r++) rows[r] = src + (j + r) * stride;
        turn_rows(rows, kTileRows, depth, 2 * kTileBytes, dst + panel, rest + panel);
    }
}

void split(const float* src, int64_t stride, int64_t depth, int64_t n, std::byte* dst) {
    const int64_t panel_bytes = split_bytes(depth, 2 * kTileRows);
    std::byte* rest = dst + split_bytes(depth, n);
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    for (int64_t k = 0; k < (depth + kTileColumns - 1) / kTileColumns * kTileColumns; k += 2) {
        const int64_t row = k / kTileColumns * 2 * kTileBytes + k % kTileColumns / 2 * kTileRowBytes;
        for (int64_t j = 0; j < n; j += kTileRows) {
            const auto numbers = [&](int64_t i) __attribute__((always_inline)) {
                return i < depth ? Vector::load_floats(src + i * stride + j) : Vector::zero();
            };
            const __m512 even = numbers(k), odd = numbers(k + 1);
            const int64_t at = row + j / kRowsOfTilePanel * panel_bytes + j / kTileRows % 2 * kTileBytes;
            const __m512i high = pairs_of(even, odd);
            const __m512 even_left = _mm512_sub_ps(even, _mm512_castsi512_ps(_mm512_slli_epi32(high, 16))),
                         odd_left = _mm512_sub_ps(odd, _mm512_castsi512_ps(_mm512_and_si512(high, upper)));
            _mm512_storeu_si512(dst + at, high);
            _mm512_storeu_si512(rest + at, pairs_of(even_left, odd_left));
        }
    }
}

// Columns of one or two blocks of rows, and from one tile of theirs to the next.
struct Source {
    const std::byte *first, *second;
    int64_t first_step, second_step;
};

template <bool has_second>
inline __attribute__((always_inline)) void add_products() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (has_second) {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

// Where the sums of row i on the left lie: 16 here, and those of the other 16 columns kSums on.
inline int64_t place_of_sums(int64_t i) { return i / kTileRows * 2 * kSums + i % kTileRows * kTileRows; }

// Up to 32 rows times 32 columns. The second parts of both lie rest_left and rest_right bytes behind.
template <bool has_second>
inline __attribute__((always_inline)) void multiply_split_block(Source left, int64_t rest_left, const std::byte* right, int64_t rest_right,
                                                                int64_t n_steps, float* sums) {
    clear_sums<has_second>();
    const auto load_left = [&](int64_t offset) __attribute__((always_inline)) {
        _tile_loadd(4, left.first + offset, kTileRowBytes);
        if constexpr (has_second) _tile_loadd(5, left.second + offset, kTileRowBytes);
    };
    const auto load_right = [&](int64_t offset) __attribute__((always_inline)) {
        _tile_loadd(6, right + offset, kTileRowBytes);
        _tile_loadd(7, right + offset + kTileBytes, kTileRowBytes);
    };
    for (int64_t k = 0; k < n_steps; k++) {
        load_right(0);
        load_left(rest_left);
        add_products<has_second>();
        load_left(0);
        add_products<has_second>();
        load_right(rest_right);
        add_products<has_second>();
        right += 2 * kTileBytes, left.first += left.first_step, left.second += left.second_step;
    }
    put_sums<has_second>(sums);
}

void multiply_split(const std::byte* left, const TiledRows& rows, int64_t first, const std::byte* right, int64_t n, float* dst,
                    int64_t dst_stride, bool adds) {
    constexpr int64_t kBlock = 2 * kTileRows;
    const int64_t depth = rows.n_cols, n_steps = (depth + kTileColumns - 1) / kTileColumns;
    alignas(64) float sums[4 * kSums];
    for (int64_t i = first; i < rows.n_rows; i += kBlock) {
        const int64_t some = rows.n_rows - i < kBlock ? rows.n_rows - i : kBlock;
        const bool has_second = some > kTileRows;
        const Source source = {left + rows.place(i), left + rows.place(i + kTileRows), rows.step(i),
                               has_second ? rows.step(i + kTileRows) : 0};
        configure(has_second ? kTileRows : some, has_second ? some - kTileRows : 1);
        for (int64_t j = 0; j < n; j += kRowsOfTilePanel) {
            const std::byte* panel = right + split_bytes(depth, j);
            if (has_second)
                multiply_split_block<true>(source, rows.n_bytes(), panel, split_bytes(depth, n), n_steps, sums);
            else
                multiply_split_block<false>(source, rows.n_bytes(), panel, split_bytes(depth, n), n_steps, sums);
            for (int64_t r = 0; r < some; r++) {
                for (int64_t half = 0; half < 2 && j + half * kTileRows < n; half++) {
                    float* to = dst + (i - first + r) * dst_stride + j + half * kTileRows;
                    const __m512 sum = Vector::load_floats(sums + place_of_sums(r) + half * kSums);
                    Vector::store(to, adds ? Vector::add(Vector::load_floats(to), sum) : sum);
                }
            }
        }
    }
    _tile_release();
}
