// SPDX-License-Identifier: Apache-2.0
// Loops over float32 rows: rounding, activations, norms, exponentials.

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

void multiply_by(float* x, float factor, int64_t n) {
    const Vector::Floats f = Vector::set(factor);
    by_lanes(
        n, [&](int64_t i, int some)
               __attribute__((always_inline)) { store_some(x + i, Vector::multiply(load_some(x + i, some), f), some); });
}
