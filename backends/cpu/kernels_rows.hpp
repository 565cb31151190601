// SPDX-License-Identifier: Apache-2.0
// Loops over float32 rows: rounding, activations, norms, and what attention does with a tile of the cache.

// Rounds up to 32 elements; returns the scale. Elements that are not all finite have no codes and a scale that is not a number.
inline float round_block(const float* src, int64_t n, int8_t* codes) {
    float block[32] = {};
    if (n < 32 && n > 0) copy_bytes(block, src, 4 * static_cast<size_t>(n));
    if (n < 32) src = block;
    const Vector::Floats x = Vector::load_floats(src), y = Vector::load_floats(src + 16);
    const float top = Vector::maximum(Vector::larger(Vector::magnitude(x), Vector::magnitude(y)));
    const float check = Vector::sum(Vector::add(x, y)) * 0.0f;
    if (!(top >= 0x1p-100f && check == 0.0f)) {
        for (int i = 0; i < 32; i++) codes[i] = 0;
        return check;
    }
    const Vector::Floats inverse = Vector::set(127.0f / top);
    Vector::store_codes(codes, Vector::round_to_even(Vector::multiply(x, inverse)));
    Vector::store_codes(codes + 16, Vector::round_to_even(Vector::multiply(y, inverse)));
    return top / 127.0f;
}

// A row of activations in int8; see RoundedLayout.
void round_row(const float* src, int64_t n, std::byte* dst) {
    const RoundedLayout at(n);
    auto* codes = reinterpret_cast<int8_t*>(dst);
    auto* neg_sums = reinterpret_cast<int32_t*>(dst + at.neg_sums);
    auto* neg_sums32 = reinterpret_cast<int32_t*>(dst + at.neg_sums32);
    auto* neg_sums16 = reinterpret_cast<int32_t*>(dst + at.neg_sums16);
    auto* scales32 = reinterpret_cast<float*>(dst + at.scales32);
    auto* scales16 = reinterpret_cast<float*>(dst + at.scales16);
    auto* sums32 = reinterpret_cast<float*>(dst + at.sums32);
    auto* sums16 = reinterpret_cast<float*>(dst + at.sums16);
    for (int64_t begin = 0; begin < at.n_padded; begin += 64) {
        for (int64_t b = begin / 32; b < begin / 32 + 2; b++)
            scales32[b] = scales16[2 * b] = scales16[2 * b + 1] = round_block(src + 32 * b, n - 32 * b, codes + 32 * b);
        int32_t* sums = neg_sums + begin / 4;
        Vector::store_negated(sums, Vector::dot_unsigned(Vector::bits(~uint64_t{0}, 1), codes + begin));
        for (int64_t g = begin / 16; g < begin / 16 + 4; g++, sums += 4) {
            neg_sums16[g] = sums[0] + sums[1] + sums[2] + sums[3];
            sums16[g] = scales16[g] * -static_cast<float>(neg_sums16[g]);
        }
        for (int64_t b = begin / 32; b < begin / 32 + 2; b++) {
            neg_sums32[b] = neg_sums16[2 * b] + neg_sums16[2 * b + 1];
            sums32[b] = sums16[2 * b] + sums16[2 * b + 1];
        }
    }
}

// e^x, relative error below 2e-7: x = n ln 2 + r, and a polynomial in r (Cephes' coefficients). Below -87 it is the smallest normal number.
inline Vector::Floats exponential(Vector::Floats x) {
    x = Vector::smaller(Vector::larger(x, Vector::set(-87.0f)), Vector::set(88.0f));
    const Vector::Floats n = Vector::round_to_even(Vector::multiply(x, Vector::set(1.44269504f)));
    Vector::Floats r = Vector::fma(n, Vector::set(-0.693359375f), x);
    r = Vector::fma(n, Vector::set(2.12194440e-4f), r);
    Vector::Floats p = Vector::set(1.9875691500e-4f);
    constexpr float kCoefficients[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    for (const float c : kCoefficients) p = Vector::fma(p, r, Vector::set(c));
    p = Vector::add(Vector::fma(p, Vector::multiply(r, r), r), Vector::set(1.0f));
    return Vector::multiply(p, Vector::power_of_two(n));
}

// Calls body(i, n) for runs of up to 16 of n elements; only the last may be shorter.
template <class Body>
inline __attribute__((always_inline)) void by_lanes(int64_t n, const Body& body) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) body(i, 16);
    if (i < n) body(i, static_cast<int>(n - i));
}

inline Vector::Floats load_some(const float* p, int n) {
    if (n == 16) return Vector::load_floats(p);
    float lanes[16] = {};
    copy_bytes(lanes, p, 4 * static_cast<size_t>(n));
    return Vector::load_floats(lanes);
}

inline void store_some(float* p, Vector::Floats x, int n) {
    if (n == 16) return Vector::store(p, x);
    float lanes[16];
    Vector::store(lanes, x);
    copy_bytes(p, lanes, 4 * static_cast<size_t>(n));
}

void swiglu(const float* gate, const float* up, float* dst, int64_t n) {
    by_lanes(
        n, [&](int64_t i, int some) __attribute__((always_inline)) {
            const Vector::Floats g = load_some(gate + i, some), one = Vector::set(1.0f);
            const Vector::Floats silu = Vector::divide(g, Vector::add(one, exponential(Vector::subtract(Vector::zero(), g))));
            store_some(dst + i, Vector::multiply(silu, load_some(up + i, some)), some);
        });
}

double add_and_square(float* x, const float* delta, int64_t n) {
    double total = 0.0;
    // Short float32 sums, added in double.
    for (int64_t begin = 0; begin < n; begin += 256) {
        Vector::Floats squares = Vector::zero();
        by_lanes(
            n - begin < 256 ? n - begin : 256, [&](int64_t i, int some) __attribute__((always_inline)) {
                Vector::Floats v = load_some(x + begin + i, some);
                if (delta != nullptr) {
                    v = Vector::add(v, load_some(delta + begin + i, some));
                    store_some(x + begin + i, v, some);
                }
                squares = Vector::fma(v, v, squares);
            });
        total += static_cast<double>(Vector::sum(squares));
    }
    return total;
}

void scale_by(const float* x, const float* weight, float scale, float* dst, int64_t n) {
    const Vector::Floats factor = Vector::set(scale);
    by_lanes(
        n, [&](int64_t i, int some) __attribute__((always_inline)) {
            store_some(dst + i, Vector::multiply(Vector::multiply(load_some(x + i, some), factor), load_some(weight + i, some)), some);
        });
}

// Q heads, columns [i, i + 16 * V): rows pass once for all of them.
template <int Q, int V>
inline __attribute__((always_inline)) void add_weighted_tile(const float* weights, int64_t weights_stride, const float* rows,
                                                             int64_t stride, int64_t n_tokens, float* dst, int64_t n) {
    Vector::Floats sums[Q][V];
    for (int h = 0; h < Q; h++) {
        for (int v = 0; v < V; v++) sums[h][v] = Vector::load_floats(dst + h * n + 16 * v);
    }
    for (int64_t t = 0; t < n_tokens; t++, rows += stride) {
        for (int v = 0; v < V; v++) {
            const Vector::Floats row = Vector::load_floats(rows + 16 * v);
            for (int h = 0; h < Q; h++) sums[h][v] = Vector::fma(Vector::set(weights[h * weights_stride + t]), row, sums[h][v]);
        }
    }
    for (int h = 0; h < Q; h++) {
        for (int v = 0; v < V; v++) Vector::store(dst + h * n + 16 * v, sums[h][v]);
    }
}

template <int Q>
inline void add_weighted_heads(const float* weights, int64_t weights_stride, const float* rows, int64_t stride, int64_t n_tokens,
                               float* dst, int64_t n) {
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) add_weighted_tile<Q, 4>(weights, weights_stride, rows + i, stride, n_tokens, dst + i, n);
    for (; i + 16 <= n; i += 16) add_weighted_tile<Q, 1>(weights, weights_stride, rows + i, stride, n_tokens, dst + i, n);
    const int some = static_cast<int>(n - i);
    for (int h = 0; h < Q && some > 0; h++) {
        Vector::Floats sum = load_some(dst + h * n + i, some);
        for (int64_t t = 0; t < n_tokens; t++)
            sum = Vector::fma(Vector::set(weights[h * weights_stride + t]), load_some(rows + t * stride + i, some), sum);
        store_some(dst + h * n + i, sum, some);
    }
}

void add_weighted(const float* weights, int64_t weights_stride, int64_t n_q, const float* rows, int64_t stride, int64_t n_tokens,
                  float* dst, int64_t n) {
    int64_t h = 0;
    for (; h + 4 <= n_q; h += 4)
        add_weighted_heads<4>(weights + h * weights_stride, weights_stride, rows, stride, n_tokens, dst + h * n, n);
    for (; h < n_q; h++) add_weighted_heads<1>(weights + h * weights_stride, weights_stride, rows, stride, n_tokens, dst + h * n, n);
}

// Q heads times T <= 4 tokens. A score's bits are the same in every tile.
template <int Q, int T>
inline __attribute__((always_inline)) void score_tile(const float* q, const float* rows, int64_t stride, int64_t n, float scale,
                                                      float* scores, int64_t scores_stride) {
    Vector::Floats sums[Q][4];
    for (auto& of_head : sums) {
        for (auto& sum : of_head) sum = Vector::zero();
    }
    by_lanes(
        n, [&](int64_t i, int some) __attribute__((always_inline)) {
            Vector::Floats tokens[T];
            for (int t = 0; t < T; t++) tokens[t] = load_some(rows + t * stride + i, some);
            for (int h = 0; h < Q; h++) {
                const Vector::Floats part = load_some(q + h * n + i, some);
                for (int t = 0; t < T; t++) sums[h][t] = Vector::fma(part, tokens[t], sums[h][t]);
            }
        });
    for (int h = 0; h < Q; h++) {
        float four[4];
        Vector::store_sums(four, sums[h]);
        for (int t = 0; t < T; t++) scores[h * scores_stride + t] = four[t] * scale;
    }
}

template <int Q>
inline void score_heads(const float* q, const float* rows, int64_t stride, int64_t n_tokens, int64_t n, float scale, float* scores,
                        int64_t scores_stride) {
    int64_t t = 0;
    for (; t + 4 <= n_tokens; t += 4) score_tile<Q, 4>(q, rows + t * stride, stride, n, scale, scores + t, scores_stride);
    for (; t < n_tokens; t++) score_tile<Q, 1>(q, rows + t * stride, stride, n, scale, scores + t, scores_stride);
}

void score(const float* q, int64_t n_q, const float* rows, int64_t stride, int64_t n_tokens, int64_t n, float scale, float* scores,
           int64_t scores_stride) {
    int64_t h = 0;
    for (; h + 4 <= n_q; h += 4) score_heads<4>(q + h * n, rows, stride, n_tokens, n, scale, scores + h * scores_stride, scores_stride);
    for (; h < n_q; h++) score_heads<1>(q + h * n, rows, stride, n_tokens, n, scale, scores + h * scores_stride, scores_stride);
}

float exponentials(float* x, int64_t n, float top) {
    Vector::Floats total = Vector::zero();
    const Vector::Floats shift = Vector::set(top);
    float rest = 0.0f;
    by_lanes(
        n, [&](int64_t i, int some) __attribute__((always_inline)) {
            const Vector::Floats e = exponential(Vector::subtract(load_some(x + i, some), shift));
            store_some(x + i, e, some);
            if (some == 16) {
                total = Vector::add(total, e);
            } else {
                for (int j = 0; j < some; j++) rest += x[i + j];
            }
        });
    return Vector::sum(total) + rest;
}

float largest(const float* x, int64_t n) {
    float top = x[0];
    int64_t i = 0;
    if (n >= 16) {
        Vector::Floats tops = Vector::load_floats(x);
        for (i = 16; i + 16 <= n; i += 16) tops = Vector::larger(tops, Vector::load_floats(x + i));
        top = Vector::maximum(tops);
    }
    for (; i < n; i++) top = x[i] > top ? x[i] : top;
    return top;
}

void widen_half(const uint16_t* src, float* dst, int64_t n) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) Vector::store(dst + i, Vector::widen_half(src + i));
    for (; i < n; i++) dst[i] = half_at(src + i);
}

void multiply_by(float* x, float factor, int64_t n) {
    const Vector::Floats f = Vector::set(factor);
    by_lanes(
        n, [&](int64_t i, int some)
               __attribute__((always_inline)) { store_some(x + i, Vector::multiply(load_some(x + i, some), f), some); });
}
