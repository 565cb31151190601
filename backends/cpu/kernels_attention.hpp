// SPDX-License-Identifier: Apache-2.0
// What attention does with rows of the cache: one query at a time reads them as they are stored, and blocks of queries multiply tiles.

struct LoadQ80 {
    static constexpr int kType = 8, kBytesOf32 = 34;
    // i is a multiple of 16.
    static Vector::Floats at(const std::byte* p, int64_t i) {
        const std::byte* block = p + i / 32 * 34;
        return Vector::multiply(Vector::widen_i8x16(reinterpret_cast<const int8_t*>(block + 2 + i % 32)), Vector::set(half_at(block)));
    }
};

// Calls body.operator()<N>(first) for parts of [0, n) of at most `most`, as even as they can be.
template <int most, class Body>
inline __attribute__((always_inline)) void in_even_parts(int64_t n, const Body& body) {
    const int64_t n_parts = (n + most - 1) / most;
    for (int64_t part = 0; part < n_parts; part++) {
        const int64_t first = n * part / n_parts, size = n * (part + 1) / n_parts - first;
        unrolled<most>([&]<int k>() __attribute__((always_inline)) {
            if (size == k + 1) body.template operator()<k + 1>(first);
        });
    }
}

// Asks for the n elements of tokens [token, token + T) of the rows that are wanted soon.
template <class Load, int T>
inline __attribute__((always_inline)) void fetch_next(const StoredRows& rows, int64_t token, int64_t n) {
    const auto place = [](int64_t i) { return i / 16 * Load::kBytesOf32 / 2; };
    for (int t = 0; t < T; t++) {
        const std::byte* row = rows.next + (token + t) * rows.row_bytes;
        for (int64_t at = place(rows.first); at < place(rows.first + n); at += 64) __builtin_prefetch(row + at, 0, 2);
    }
}

// Q queries, V vectors of columns from i on: rows pass once for all of them.
template <class Load, int Q, int V>
inline __attribute__((always_inline)) void add_weighted_tile(const float* weights, int64_t weights_stride, const StoredRows& rows,
                                                             int64_t i, int64_t n_tokens, float* dst, int64_t n) {
    Vector::Floats sums[Q][V];
    for (int h = 0; h < Q; h++) {
        for (int v = 0; v < V; v++) sums[h][v] = Vector::load_floats(dst + h * n + i + 16 * v);
    }
    const std::byte* row = rows.data;
    for (int64_t t = 0; t < n_tokens; t++, row += rows.row_bytes) {
        if (rows.next != nullptr && i == 0) fetch_next<Load, 1>(rows, t, n);
        for (int v = 0; v < V; v++) {
            const Vector::Floats values = Load::at(row, rows.first + i + 16 * v);
            for (int h = 0; h < Q; h++) sums[h][v] = Vector::fma(Vector::set(weights[h * weights_stride + t]), values, sums[h][v]);
        }
    }
    for (int h = 0; h < Q; h++) {
        for (int v = 0; v < V; v++) Vector::store(dst + h * n + i + 16 * v, sums[h][v]);
    }
}

template <class Load>
void add_cached(const float* weights, int64_t weights_stride, int64_t n_q, const StoredRows& stored, int64_t n_tokens, float* dst,
                int64_t n) {
    constexpr int V = Vector::kSumVectors;
    in_even_parts<Vector::kCacheQueries>(
        n_q, [&]<int Q>(int64_t h) __attribute__((always_inline)) {
            StoredRows rows = stored;
            if (h > 0) rows.next = nullptr;
            const float* own = weights + h * weights_stride;
            int64_t i = 0;
            for (; i + 16 * V <= n; i += 16 * V) add_weighted_tile<Load, Q, V>(own, weights_stride, rows, i, n_tokens, dst + h * n, n);
            for (; i < n; i += 16) add_weighted_tile<Load, Q, 1>(own, weights_stride, rows, i, n_tokens, dst + h * n, n);
        });
}

// Q queries times T <= 4 tokens. A score's bits are the same in every tile.
template <class Load, int Q, int T>
inline __attribute__((always_inline)) void score_tile(const float* q, const StoredRows& rows, int64_t token, int64_t n, float scale,
                                                      float* scores, int64_t scores_stride) {
    Vector::Floats sums[Q][4];
    for (auto& of_query : sums) {
        for (auto& sum : of_query) sum = Vector::zero();
    }
    if (rows.next != nullptr) fetch_next<Load, T>(rows, token, n);
    for (int64_t i = 0; i < n; i += 16) {
        Vector::Floats tokens[T];
        for (int t = 0; t < T; t++) tokens[t] = Load::at(rows.data + (token + t) * rows.row_bytes, rows.first + i);
        for (int h = 0; h < Q; h++) {
            const Vector::Floats part = Vector::load_floats(q + h * n + i);
            for (int t = 0; t < T; t++) sums[h][t] = Vector::fma(part, tokens[t], sums[h][t]);
        }
    }
    for (int h = 0; h < Q; h++) {
        float four[4];
        Vector::store_sums(four, sums[h]);
        for (int t = 0; t < T; t++) scores[h * scores_stride + token + t] = four[t] * scale;
    }
}

template <class Load>
void score_cached(const float* q, int64_t n_q, const StoredRows& stored, int64_t n_tokens, int64_t n, float scale, float* scores,
                  int64_t scores_stride) {
    in_even_parts<Vector::kCacheQueries>(
        n_q, [&]<int Q>(int64_t h) __attribute__((always_inline)) {
            StoredRows rows = stored;
            if (h > 0) rows.next = nullptr;
            float* own = scores + h * scores_stride;
            int64_t t = 0;
            for (; t + 4 <= n_tokens; t += 4) score_tile<Load, Q, 4>(q + h * n, rows, t, n, scale, own, scores_stride);
            for (; t < n_tokens; t++) score_tile<Load, Q, 1>(q + h * n, rows, t, n, scale, own, scores_stride);
        });
}

// dst[n] = elements [first, first + n) of a cached row; both are multiples of 16.
template <class Load>
void widen_cached(const std::byte* row, int64_t first, int64_t n, float* dst) {
    for (int64_t i = 0; i < n; i += 16) Vector::store(dst + i, Load::at(row, first + i));
}

// A rows of a times V vectors of columns of b.
template <int A, int V>
inline __attribute__((always_inline)) void product_tile(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t depth,
                                                        float* dst, int64_t dst_stride, bool adds) {
    Vector::Floats sums[A][V];
    for (int i = 0; i < A; i++) {
        for (int v = 0; v < V; v++) sums[i][v] = adds ? Vector::load_floats(dst + i * dst_stride + 16 * v) : Vector::zero();
    }
    for (int64_t k = 0; k < depth; k++) {
        Vector::Floats row[V];
        for (int v = 0; v < V; v++) row[v] = Vector::load_floats(b + k * b_stride + 16 * v);
        for (int i = 0; i < A; i++) {
            const Vector::Floats factor = Vector::set(a[i * a_stride + k]);
            for (int v = 0; v < V; v++) sums[i][v] = Vector::fma(factor, row[v], sums[i][v]);
        }
    }
    for (int i = 0; i < A; i++) {
        for (int v = 0; v < V; v++) Vector::store(dst + i * dst_stride + 16 * v, sums[i][v]);
    }
}

void product(const float* a, int64_t a_stride, int64_t n_a, const float* b, int64_t b_stride, int64_t depth, int64_t n, float* dst,
             int64_t dst_stride, bool adds) {
    constexpr int V = Vector::kProductVectors;
    int64_t j = 0;
    const auto columns = [&]<int width>() __attribute__((always_inline)) {
        in_even_parts<6>(
            n_a, [&]<int A>(int64_t i) __attribute__((always_inline)) {
                product_tile<A, width>(a + i * a_stride, a_stride, b + j, b_stride, depth, dst + i * dst_stride + j, dst_stride, adds);
            });
    };
    for (; j + 16 * V <= n; j += 16 * V) columns.template operator()<V>();
    for (; j < n; j += 16) columns.template operator()<1>();
}

// Sixteen rows of sixteen.
inline void transpose_16(const float* src, int64_t stride, float* dst, int64_t dst_stride) {
#ifdef PONDER_KERNELS_HAVE_PANELS
    Vector::Bytes rows[16];
    alignas(64) float lanes[256];
    for (int r = 0; r < 16; r++) rows[r] = Vector::load(src + r * stride);
    Vector::interleave(rows, reinterpret_cast<uint8_t*>(lanes));
    for (int r = 0; r < 16; r++) Vector::store(dst + r * dst_stride, Vector::load_floats(lanes + 16 * r));
#else
    for (int r = 0; r < 16; r++) {
        for (int c = 0; c < 16; c++) dst[c * dst_stride + r] = src[r * stride + c];
    }
#endif
}

void transpose(const float* src, int64_t stride, int64_t n_rows, int64_t n, float* dst, int64_t dst_stride) {
    for (int64_t i = 0; i < n; i += 16) {
        int64_t r = 0;
        for (; r + 16 <= n_rows; r += 16) transpose_16(src + r * stride + i, stride, dst + i * dst_stride + r, dst_stride);
        for (; r < n_rows; r++) {
            for (int c = 0; c < 16; c++) dst[(i + c) * dst_stride + r] = src[r * stride + i + c];
        }
    }
}

constexpr CacheKernels kCacheKernels[] = {
    {LoadF32::kType, score_cached<LoadF32>, add_cached<LoadF32>, widen_cached<LoadF32>},
    {LoadF16::kType, score_cached<LoadF16>, add_cached<LoadF16>, widen_cached<LoadF16>},
    {LoadQ80::kType, score_cached<LoadQ80>, add_cached<LoadQ80>, widen_cached<LoadQ80>},
};

// A sum of float32 rows, of any length.
void add_weighted(const float* weights, const float* rows, int64_t stride, int64_t n_rows, float* dst, int64_t n) {
    const int64_t whole = n / 16 * 16;
    add_cached<LoadF32>(weights, 0, 1, {reinterpret_cast<const std::byte*>(rows), 4 * stride, 0}, n_rows, dst, whole);
    if (whole == n) return;
    const int some = static_cast<int>(n - whole);
    Vector::Floats sum = load_some(dst + whole, some);
    for (int64_t t = 0; t < n_rows; t++) sum = Vector::fma(Vector::set(weights[t]), load_some(rows + t * stride + whole, some), sum);
    store_some(dst + whole, sum, some);
}
