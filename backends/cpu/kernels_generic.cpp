// SPDX-License-Identifier: Apache-2.0
// Plain C++: what every processor runs, and what the other instruction sets are compared with.
#include "kernels.hpp"
#include "kernels_prologue.hpp"

namespace ponder::cpu {

namespace {

struct Vector {
    static constexpr int kPanelsFrom = 0;                     // there are none
    static constexpr int kCacheQueries = 4, kSumVectors = 4;  // of queries and columns that pass over cached rows
    static constexpr int kProductVectors = 1;                 // side by side in a tile of a product: what the registers hold
    struct Bytes {
        uint8_t v[64];
    };
    struct Ints {
        int32_t v[16];  // lane i: elements 4i to 4i + 3
    };
    struct Floats {
        float v[16];
    };
    struct Floats8 {
        float v[8];
    };

    static Bytes load(const void* p) { return copy<Bytes>(p); }
    static Bytes pair(const void* p, const void* q) {
        Bytes x;
        copy_bytes(x.v, p, 32);
        copy_bytes(x.v + 32, q, 32);
        return x;
    }
    static Bytes twice(const void* p) { return pair(p, p); }
    static Bytes quarters(const void* p, const void* q) {
        Bytes x;
        for (int i = 0; i < 4; i++) copy_bytes(x.v + 16 * i, i < 2 ? p : q, 16);
        return x;
    }
    template <int a, int b, int c, int d>
    static Bytes shift_right(Bytes x) {
        constexpr int kShifts[] = {a, b, c, d};
        for (int i = 0; i < 64; i++) x.v[i] = static_cast<uint8_t>(x.v[i] >> kShifts[i / 16]);
        return x;
    }
    template <int n>
    static Bytes shift_left(Bytes x) {
        for (auto& b : x.v) b = static_cast<uint8_t>(b << n);
        return x;
    }
    static Bytes mask(Bytes x, int m) {
        for (auto& b : x.v) b = static_cast<uint8_t>(b & m);
        return x;
    }
    static Bytes join(Bytes x, Bytes y) {
        for (int i = 0; i < 64; i++) x.v[i] |= y.v[i];
        return x;
    }
    static Bytes bits(uint64_t set, int value) {
        Bytes x;
        for (int i = 0; i < 64; i++) x.v[i] = static_cast<uint8_t>((set >> i & 1) != 0 ? value : 0);
        return x;
    }
    static Bytes from_words(const uint64_t (&w)[8]) { return load(w); }
    static Bytes negate(Bytes x, uint64_t set) {
        for (int i = 0; i < 64; i++) x.v[i] = static_cast<uint8_t>((set >> i & 1) != 0 ? -x.v[i] : x.v[i]);
        return x;
    }
    static Bytes look_up(const int8_t* table, Bytes x) {
        for (auto& b : x.v) b = static_cast<uint8_t>(table[b]);
        return x;
    }
    static Ints dot_unsigned(Bytes u, const int8_t* a) {
        Ints sum{};
        for (int i = 0; i < 64; i++) sum.v[i / 4] += u.v[i] * a[i];
        return sum;
    }
    static void store_negated(int32_t* p, Ints x) {
        for (int i = 0; i < 16; i++) p[i] = -x.v[i];
    }
    template <int shift>
    static Ints dot_offset(Bytes u, const int8_t* a, const int32_t*) {
        Ints sum{};
        for (int i = 0; i < 64; i++) sum.v[i / 4] += (u.v[i] - (1 << shift)) * a[i];
        return sum;
    }
    static Ints dot_signed(Bytes w, const int8_t* a, const int32_t*) {
        Ints sum{};
        for (int i = 0; i < 64; i++) sum.v[i / 4] += static_cast<int8_t>(w.v[i]) * a[i];
        return sum;
    }

    static Floats zero() { return {}; }
    static Floats set(float x) {
        Floats f;
        for (auto& e : f.v) e = x;
        return f;
    }
    static Floats load_floats(const float* p) { return copy<Floats>(p); }
    static void store(float* p, Floats x) { copy_bytes(p, x.v, 64); }
    static Floats widen_half(const void* p) {
        Floats f;
        for (int i = 0; i < 16; i++) f.v[i] = half_at(static_cast<const char*>(p) + 2 * i);
        return f;
    }
    static Floats widen_f8(const void* p) {
        Floats f;
        for (int i = 0; i < 16; i++) {
            const uint16_t half = f8_half(copy<uint8_t>(static_cast<const char*>(p) + i));
            f.v[i] = half_at(&half);
        }
        return f;
    }
    static Floats widen_bf16(const void* p) {
        Floats f;
        for (int i = 0; i < 16; i++) f.v[i] = from_bits<float>(uint32_t{copy<uint16_t>(static_cast<const char*>(p) + 2 * i)} << 16);
        return f;
    }
    static Floats to_floats(Ints x) {
        Floats f;
        for (int i = 0; i < 16; i++) f.v[i] = static_cast<float>(x.v[i]);
        return f;
    }
    static Floats add(Floats x, Floats y) {
        for (int i = 0; i < 16; i++) x.v[i] += y.v[i];
        return x;
    }
    static Floats subtract(Floats x, Floats y) {
        for (int i = 0; i < 16; i++) x.v[i] -= y.v[i];
        return x;
    }
    static Floats multiply(Floats x, Floats y) {
        for (int i = 0; i < 16; i++) x.v[i] *= y.v[i];
        return x;
    }
    static Floats divide(Floats x, Floats y) {
        for (int i = 0; i < 16; i++) x.v[i] /= y.v[i];
        return x;
    }
    static Floats fma(Floats x, Floats y, Floats z) {
        for (int i = 0; i < 16; i++) z.v[i] += x.v[i] * y.v[i];
        return z;
    }
    static Floats larger(Floats x, Floats y) {
        for (int i = 0; i < 16; i++) x.v[i] = x.v[i] > y.v[i] ? x.v[i] : y.v[i];
        return x;
    }
    static Floats smaller(Floats x, Floats y) {
        for (int i = 0; i < 16; i++) x.v[i] = x.v[i] < y.v[i] ? x.v[i] : y.v[i];
        return x;
    }
    static Floats magnitude(Floats x) {
        for (auto& e : x.v) e = e < 0.0f ? -e : e;
        return x;
    }
    static Floats round_to_even(Floats x) {
        for (auto& e : x.v) e = (e + 12582912.0f) - 12582912.0f;  // 1.5 * 2^23
        return x;
    }
    // x * 2^n for whole n in [-126, 127]
    static Floats times_power_of_two(Floats x, Floats n) {
        for (auto& e : n.v) e = from_bits<float>(static_cast<uint32_t>(static_cast<int32_t>(e) + 127) << 23);
        return multiply(x, n);
    }
    // Whole numbers in [-127, 127] to bytes.
    static void store_codes(int8_t* dst, Floats x) {
        for (int i = 0; i < 16; i++) dst[i] = static_cast<int8_t>(x.v[i]);
    }
    static float sum(Floats x) {
        float total[8];
        for (int i = 0; i < 8; i++) total[i] = x.v[i] + x.v[i + 8];
        for (int n = 4; n > 0; n /= 2) {
            for (int i = 0; i < n; i++) total[i] += total[i + n];
        }
        return total[0];
    }
    // The sums of four vectors.
    static void store_sums(float* dst, const Floats (&x)[4]) {
        for (int i = 0; i < 4; i++) dst[i] = sum(x[i]);
    }
    static float maximum(Floats x) {
        float top = x.v[0];
        for (const float e : x.v) top = e > top ? e : top;
        return top;
    }

    static Floats8 load_floats8(const float* p) { return copy<Floats8>(p); }
    static void store8(float* p, Floats8 x) { copy_bytes(p, x.v, 32); }
    static void load_groups(const uint8_t* p, Floats8& scales, Floats8& mins) {
        const GroupCodes codes(p);
        scales = scale8(widen_u8x8(codes.scales), half_at(p));
        mins = scale8(widen_u8x8(codes.mins), half_at(p + 2));
    }
    static Floats8 zero8() { return {}; }
    static Floats8 widen_u8x8(uint64_t x) {
        Floats8 f;
        for (int i = 0; i < 8; i++) f.v[i] = static_cast<float>(x >> (8 * i) & 255);
        return f;
    }
    static Floats8 widen_i8x8(uint64_t x) {
        Floats8 f;
        for (int i = 0; i < 8; i++) f.v[i] = static_cast<float>(static_cast<int8_t>(x >> (8 * i)));
        return f;
    }
    static Floats8 multiply8(Floats8 x, Floats8 y) {
        for (int i = 0; i < 8; i++) x.v[i] *= y.v[i];
        return x;
    }
    static Floats8 scale8(Floats8 x, float y) {
        for (auto& e : x.v) e *= y;
        return x;
    }
    static Floats8 fma8(Floats8 x, Floats8 y, Floats8 z) {
        for (int i = 0; i < 8; i++) z.v[i] += x.v[i] * y.v[i];
        return z;
    }
    static float sum8(Floats8 x) {
        for (int n = 4; n > 0; n /= 2) {
            for (int i = 0; i < n; i++) x.v[i] += x.v[i + n];
        }
        return x.v[0];
    }
    static Floats widen_u8x16(const uint8_t* p) {
        Floats f;
        for (int i = 0; i < 16; i++) f.v[i] = p[i];
        return f;
    }
    static Floats widen_i8x16(uint64_t first, uint64_t last) {
        const uint64_t both[] = {first, last};
        return widen_i8x16(reinterpret_cast<const int8_t*>(both));
    }
    static Floats widen_i8x16(const int8_t* p) {
        Floats f;
        for (int i = 0; i < 16; i++) f.v[i] = p[i];
        return f;
    }
    // Elements 2k and 2k + 1 of x, eight lanes each.
    template <int k>
    static Floats spread2(Floats8 x) {
        return spread2(x.v + 2 * k);
    }
    static Floats spread2(const float* p) {
        Floats f;
        for (int i = 0; i < 16; i++) f.v[i] = p[i / 8];
        return f;
    }
    // Elements 4k to 4k + 3 of x, four lanes each.
    template <int k>
    static Floats spread4(Floats x) {
        Floats f;
        for (int i = 0; i < 16; i++) f.v[i] = x.v[4 * k + i / 4];
        return f;
    }
    // The halves at p and q, eight lanes each.
    static Floats spread_halves(const void* p, const void* q) {
        const float two[] = {half_at(p), half_at(q)};
        return spread2(two);
    }
};

#include "kernels_templates.hpp"

}  // namespace

const Kernels* generic_kernels() {
    static constexpr Kernels kKernels = make_kernels("generic");
    return &kKernels;
}

}  // namespace ponder::cpu
