// SPDX-License-Identifier: Apache-2.0
// Loops over float32 rows: rounding, activations, norms, exponentials.
#include "kernels_exponential.hpp"

// Rounds 256 elements, 32 a scale. Where 32 are not all finite they have no codes and a scale that is not a number.
// Of the four scales that give the largest element the code 127, 126, 125 or 124, the one is taken whose codes c come nearest to the
// elements x, and these codes then take the scale of least squares, sum(x c) / sum(c c). Together that makes the squared error a sixth
// smaller, and what is left of x no longer points its way. Stages pass over all eight blocks, which do not wait for each other.
inline void round_blocks(const float* src, int8_t* codes, float* scales) {
    constexpr int kBlocks = 8, kChoices = 4;
    constexpr float kInverses[kChoices] = {1.0f, 126.0f / 127.0f, 125.0f / 127.0f, 124.0f / 127.0f};
    float tops[kBlocks], inverses[kBlocks], errors[kChoices][kBlocks], least[kBlocks], factors[kBlocks];
    const auto fraction = [](Vector::Floats x) __attribute__((always_inline)) { return Vector::subtract(x, Vector::round_to_even(x)); };
    const auto load = [&](int b, int half) __attribute__((always_inline)) { return Vector::load_floats(src + 32 * b + 16 * half); };
    for (int b = 0; b < kBlocks; b++)
        tops[b] = Vector::maximum(Vector::larger(Vector::magnitude(load(b, 0)), Vector::magnitude(load(b, 1))));
    for (int b = 0; b < kBlocks; b++) inverses[b] = 127.0f / tops[b];
    for (int b = 0; b < kBlocks; b += 4) {
        for (int i = 0; i < kChoices; i++) {
            Vector::Floats squares[4];
            for (int j = 0; j < 4; j++) {
                const Vector::Floats inverse = Vector::set(inverses[b + j] * kInverses[i]),
                                     x = fraction(Vector::multiply(load(b + j, 0), inverse)),
                                     y = fraction(Vector::multiply(load(b + j, 1), inverse));
                squares[j] = Vector::fma(x, x, Vector::multiply(y, y));
            }
            Vector::store_sums(errors[i] + b, squares);
        }
    }
    for (int b = 0; b < kBlocks; b++) least[b] = errors[0][b], factors[b] = 1.0f;
    for (int i = 1; i < kChoices; i++) {
        for (int b = 0; b < kBlocks; b++) {
            const float error = errors[i][b] / (kInverses[i] * kInverses[i]);
            factors[b] = error < least[b] ? kInverses[i] : factors[b];
            least[b] = error < least[b] ? error : least[b];
        }
    }
    static constexpr float kZeros[32] = {};
    const float* from[kBlocks];
    for (int b = 0; b < kBlocks; b++) from[b] = tops[b] >= 0x1p-100f && least[b] == least[b] ? src + 32 * b : kZeros;
    float products[kBlocks], squares[kBlocks];
    for (int b = 0; b < kBlocks; b += 4) {
        Vector::Floats xc[4], cc[4];
        for (int j = 0; j < 4; j++) {
            const float* p = from[b + j];
            const Vector::Floats inverse = Vector::set(p == kZeros ? 0.0f : inverses[b + j] * factors[b + j]),
                                 x = Vector::multiply(Vector::load_floats(p), inverse),
                                 y = Vector::multiply(Vector::load_floats(p + 16), inverse), c = Vector::round_to_even(x),
                                 d = Vector::round_to_even(y);
            Vector::store_codes(codes + 32 * (b + j), c);
            Vector::store_codes(codes + 32 * (b + j) + 16, d);
            xc[j] = Vector::fma(x, c, Vector::multiply(y, d));
            cc[j] = Vector::fma(c, c, Vector::multiply(d, d));
        }
        Vector::store_sums(products + b, xc);
        Vector::store_sums(squares + b, cc);
    }
    for (int b = 0; b < kBlocks; b++) {
        scales[b] = from[b] == kZeros ? Vector::sum(Vector::add(load(b, 0), load(b, 1))) * 0.0f
                                      : tops[b] / (127.0f * factors[b]) * (products[b] / squares[b]);
    }
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
    const int64_t n_whole = n / 256 * 256;
    for (int64_t i = 0; i < n_whole; i += 256) round_blocks(src + i, codes + i, scales32 + i / 32);
    if (n_whole < n) {
        float last[256] = {};
        copy_bytes(last, src + n_whole, sizeof(float) * static_cast<size_t>(n - n_whole));
        round_blocks(last, codes + n_whole, scales32 + n_whole / 32);
    }
    for (int64_t begin = 0; begin < at.n_padded; begin += 256) {
        // Local copies, which a store cannot change behind the compiler's back.
        int32_t fours[64], groups16[16], groups32[8];
        float scales[8];
        for (int64_t i = 0; i < 256; i += 64)
            Vector::store_negated(fours + i / 4, Vector::dot_unsigned(Vector::bits(~uint64_t{0}, 1), codes + begin + i));
        for (int g = 0; g < 16; g++) groups16[g] = fours[4 * g] + fours[4 * g + 1] + fours[4 * g + 2] + fours[4 * g + 3];
        for (int b = 0; b < 8; b++) groups32[b] = groups16[2 * b] + groups16[2 * b + 1];
        copy_bytes(scales, scales32 + begin / 32, sizeof scales);
        copy_bytes(neg_sums + begin / 4, fours, sizeof fours);
        copy_bytes(neg_sums16 + begin / 16, groups16, sizeof groups16);
        copy_bytes(neg_sums32 + begin / 32, groups32, sizeof groups32);
        for (int g = 0; g < 16; g++) {
            scales16[begin / 16 + g] = scales[g / 2];
            sums16[begin / 16 + g] = scales[g / 2] * -static_cast<float>(groups16[g]);
        }
        for (int b = 0; b < 8; b++) sums32[begin / 32 + b] = scales[b] * -static_cast<float>(groups32[b]);
    }
#ifdef PONDER_KERNELS_WEAVE
    for (int64_t i = 0; i < at.n_padded; i += 256) {
        weave32(codes + i, reinterpret_cast<int8_t*>(dst + at.woven32 + i));
        weave16(codes + i, reinterpret_cast<int8_t*>(dst + at.woven16 + i));
        auto* pairs = reinterpret_cast<float*>(dst + at.pairs32) + i / 32;
        for (int g = 0; g < 4; g++) {
            pairs[2 * g] = scales32[i / 32 + g] * kPairFactor;
            pairs[2 * g + 1] = scales32[i / 32 + 4 + g] * kPairFactor;
        }
    }
#endif
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
        n, [&](int64_t i, int some)
               __attribute__((always_inline)) { store_some(dst + i, gated(load_some(gate + i, some), load_some(up + i, some)), some); });
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
