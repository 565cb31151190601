// SPDX-License-Identifier: Apache-2.0
// What the kernels compute with on 64-bit Arm: four vectors of 16 bytes. Included inside the anonymous namespace of a file of kernels.

struct Vector {
    static constexpr int kCacheQueries = 4, kSumVectors = 4;  // of queries and columns that pass over cached rows
    static constexpr int kProductVectors = 1;                 // side by side in a tile of a product: what the registers hold
    static constexpr int kPanelsFrom = 5;                     // source rows from which on they pay
    static constexpr int kPanelTile = 4;                      // activation rows that pass over a panel together
    static constexpr bool kPanelsKeepSigns = true;
    struct Bytes {
        uint8x16_t v[4];
    };
    struct Ints {
        int32x4_t v[4];  // lane i of all: elements 4i to 4i + 3
    };
    struct Floats {
        float32x4_t v[4];
    };
    struct Floats8 {
        float32x4_t v[2];
    };

    static uint8x16_t load16(const void* p) { return vld1q_u8(static_cast<const uint8_t*>(p)); }
    static Bytes pair(const void* p, const void* q) {
        return {{load16(p), load16(static_cast<const char*>(p) + 16), load16(q), load16(static_cast<const char*>(q) + 16)}};
    }
    static Bytes load(const void* p) { return pair(p, static_cast<const char*>(p) + 32); }
    static Bytes twice(const void* p) { return pair(p, p); }
    static Bytes quarters(const void* p, const void* q) { return {{load16(p), load16(p), load16(q), load16(q)}}; }
    template <int n>
    static uint8x16_t shift_right_one(uint8x16_t x) {
        if constexpr (n == 0)
            return x;
        else
            return vshrq_n_u8(x, n);
    }
    template <int a, int b, int c, int d>
    static Bytes shift_right(Bytes x) {
        return {{shift_right_one<a>(x.v[0]), shift_right_one<b>(x.v[1]), shift_right_one<c>(x.v[2]), shift_right_one<d>(x.v[3])}};
    }
    template <int n>
    static Bytes shift_left(Bytes x) {
        for (auto& v : x.v) v = vshlq_n_u8(v, n);
        return x;
    }
    static Bytes mask(Bytes x, int m) {
        for (auto& v : x.v) v = vandq_u8(v, vdupq_n_u8(static_cast<uint8_t>(m)));
        return x;
    }
    static Bytes join(Bytes x, Bytes y) {
        for (int i = 0; i < 4; i++) x.v[i] = vorrq_u8(x.v[i], y.v[i]);
        return x;
    }
    static Bytes bits(uint64_t set, int value) {
        const uint8x16_t own = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
        Bytes x;
        for (int i = 0; i < 4; i++) {
            const uint8x16_t bytes =
                vcombine_u8(vdup_n_u8(static_cast<uint8_t>(set >> (16 * i))), vdup_n_u8(static_cast<uint8_t>(set >> (16 * i + 8))));
            x.v[i] = vandq_u8(vtstq_u8(bytes, own), vdupq_n_u8(static_cast<uint8_t>(value)));
        }
        return x;
    }
    static Bytes from_words(const uint64_t (&w)[8]) { return load(w); }
    static Bytes negate(Bytes x, uint64_t set) {
        const Bytes all = bits(set, 0xff);
        for (int i = 0; i < 4; i++) x.v[i] = vsubq_u8(veorq_u8(x.v[i], all.v[i]), all.v[i]);
        return x;
    }
    static Bytes look_up(const int8_t* table, Bytes x) {
        const uint8x16_t values = vreinterpretq_u8_s8(vld1q_s8(table));
        for (auto& v : x.v) v = vqtbl1q_u8(values, v);
        return x;
    }
    static Ints dot_signed(Bytes w, const int8_t* a, const int32_t*) {
        Ints sum;
        for (int i = 0; i < 4; i++) sum.v[i] = vdotq_s32(vdupq_n_s32(0), vreinterpretq_s8_u8(w.v[i]), vld1q_s8(a + 16 * i));
        return sum;
    }
    // Codes below 128 are the same with a sign.
    static Ints dot_unsigned(Bytes u, const int8_t* a) { return dot_signed(u, a, nullptr); }
    template <int shift>
    static Ints dot_offset(Bytes u, const int8_t* a, const int32_t*) {
        for (auto& v : u.v) v = vsubq_u8(v, vdupq_n_u8(1 << shift));
        return dot_signed(u, a, nullptr);
    }
    static Bytes to_panel(Bytes w) { return w; }
    static Ints repeat(int32_t x) { return {{vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)}}; }
#ifdef __ARM_FEATURE_MATMUL_INT8
    // A group of a panel: sums[i] lane r += the codes of row r times the kColumns codes at x[i] + at. An instruction multiplies eight codes
    // of two rows with eight of two activation rows; one that is left over goes twice.
    template <int kColumns, int kLargest, bool is_signed, int N>
    static __attribute__((always_inline)) void add_group(Ints (&sums)[N], const uint8_t* codes, const std::byte* const (&x)[N],
                                                         int64_t at) {
        constexpr int kPairs = (N + 1) / 2;
        int32x4_t products[kPairs][8];
        for (int j = 0; j < kPairs; j++) {
            for (int p = 0; p < 8; p++) products[j][p] = vdupq_n_s32(0);
        }
        unrolled<kColumns / 8>([&]<int part>() __attribute__((always_inline)) {
            const auto eight = [&](int i) { return vld1_s8(reinterpret_cast<const int8_t*>(x[i < N ? i : N - 1] + at + 8 * part)); };
            int8x16_t a[kPairs];
            for (int j = 0; j < kPairs; j++) a[j] = vcombine_s8(eight(2 * j), eight(2 * j + 1));
            for (int p = 0; p < 8; p++) {
                const int8x16_t w = vreinterpretq_s8_u8(load16(codes + 128 * part + 16 * p));
                for (int j = 0; j < kPairs; j++) products[j][p] = vmmlaq_s32(products[j][p], w, a[j]);
            }
        });
        // Lanes are row 2p of both activation rows, then row 2p + 1.
        for (int i = 0; i < N; i++) {
            for (int q = 0; q < 4; q++) {
                const int32x4_t low = products[i / 2][2 * q], high = products[i / 2][2 * q + 1];
                sums[i].v[q] = vaddq_s32(sums[i].v[q], i % 2 == 0 ? vuzp1q_s32(low, high) : vuzp2q_s32(low, high));
            }
        }
    }
    // Sixteen rows of 64 bytes of a panel, eight times 16 x 8: the first eight bytes of every row, then the next eight.
    static void store_panel(const Bytes (&rows)[16], uint8_t* dst) {
        for (int part = 0; part < 4; part++) {
            for (int p = 0; p < 8; p++) {
                const uint64x2_t a = vreinterpretq_u64_u8(rows[2 * p].v[part]), b = vreinterpretq_u64_u8(rows[2 * p + 1].v[part]);
                vst1q_u8(dst + 256 * part + 16 * p, vreinterpretq_u8_u64(vzip1q_u64(a, b)));
                vst1q_u8(dst + 256 * part + 128 + 16 * p, vreinterpretq_u8_u64(vzip2q_u64(a, b)));
            }
        }
    }
#else
    // A group of a panel: sums[i] lane r += the codes of row r times the kColumns codes at x[i] + at.
    template <int kColumns, int kLargest, bool is_signed, int N>
    static __attribute__((always_inline)) void add_group(Ints (&sums)[N], const uint8_t* codes, const std::byte* const (&x)[N],
                                                         int64_t at) {
        unrolled<kColumns / 16>([&]<int part>() __attribute__((always_inline)) {
            int8x16_t a[N];
            for (int i = 0; i < N; i++) a[i] = vreinterpretq_s8_u8(load16(x[i] + at + 16 * part));
            unrolled<4>([&]<int four>() __attribute__((always_inline)) {
                for (int q = 0; q < 4; q++) {
                    const int8x16_t w = vreinterpretq_s8_u8(load16(codes + 64 * (4 * part + four) + 16 * q));
                    for (int i = 0; i < N; i++) sums[i].v[q] = vdotq_laneq_s32(sums[i].v[q], w, a[i], four);
                }
            });
        });
    }
    static void store_panel(const Bytes (&rows)[16], uint8_t* dst) { interleave(rows, dst); }
#endif
    // Sixteen rows of 64 bytes to sixteen vectors of 16 x 4: the first four bytes of every row, then the next four.
    static void interleave(const Bytes (&rows)[16], uint8_t* dst) {
        for (int part = 0; part < 4; part++) {
            for (int q = 0; q < 4; q++) {
                uint32x4_t r[4];
                for (int i = 0; i < 4; i++) r[i] = vreinterpretq_u32_u8(rows[4 * q + i].v[part]);
                const uint64x2_t low[] = {vreinterpretq_u64_u32(vzip1q_u32(r[0], r[1])), vreinterpretq_u64_u32(vzip1q_u32(r[2], r[3]))};
                const uint64x2_t high[] = {vreinterpretq_u64_u32(vzip2q_u32(r[0], r[1])), vreinterpretq_u64_u32(vzip2q_u32(r[2], r[3]))};
                uint8_t* to = dst + 256 * part + 16 * q;
                vst1q_u8(to, vreinterpretq_u8_u64(vzip1q_u64(low[0], low[1])));
                vst1q_u8(to + 64, vreinterpretq_u8_u64(vzip2q_u64(low[0], low[1])));
                vst1q_u8(to + 128, vreinterpretq_u8_u64(vzip1q_u64(high[0], high[1])));
                vst1q_u8(to + 192, vreinterpretq_u8_u64(vzip2q_u64(high[0], high[1])));
            }
        }
    }
    static void store_negated(int32_t* p, Ints x) {
        for (int i = 0; i < 4; i++) vst1q_s32(p + 4 * i, vnegq_s32(x.v[i]));
    }

    static Floats set(float x) { return {{vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x)}}; }
    static Floats zero() { return set(0.0f); }
    static Floats load_floats(const float* p) { return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}}; }
    static void store(float* p, Floats x) {
        for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, x.v[i]);
    }
    static Floats widen_halves(float16x8_t low, float16x8_t high) {
        return {{vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)}};
    }
    static Floats widen_half(const void* p) {
        return widen_halves(vreinterpretq_f16_u8(load16(p)), vreinterpretq_f16_u8(load16(static_cast<const char*>(p) + 16)));
    }
    static Floats widen_f8(const void* p) {
        const auto halves = [](uint16x8_t x) {
            const int16x8_t moved = vshrq_n_s16(vreinterpretq_s16_u16(vshlq_n_u16(x, 8)), 1);
            const uint16x8_t bits = vandq_u16(vreinterpretq_u16_s16(moved), vdupq_n_u16(0xbfff));
            const uint16x8_t is_nan = vceqq_u16(vandq_u16(x, vdupq_n_u16(0x7f)), vdupq_n_u16(0x7f));
            return vreinterpretq_f16_u16(vorrq_u16(bits, vandq_u16(is_nan, vdupq_n_u16(0x7e00))));
        };
        const uint8x16_t x = load16(p);
        return widen_halves(halves(vmovl_u8(vget_low_u8(x))), halves(vmovl_high_u8(x)));
    }
    static Floats widen_bf16(const void* p) {
        Floats x;
        for (int i = 0; i < 2; i++) {
            const uint16x8_t half = vreinterpretq_u16_u8(load16(static_cast<const char*>(p) + 16 * i));
            x.v[2 * i] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(half), 16));
            x.v[2 * i + 1] = vreinterpretq_f32_u32(vshll_high_n_u16(half, 16));
        }
        return x;
    }
    static Floats to_floats(Ints x) {
        Floats f;
        for (int i = 0; i < 4; i++) f.v[i] = vcvtq_f32_s32(x.v[i]);
        return f;
    }
    static Floats add(Floats x, Floats y) {
        for (int i = 0; i < 4; i++) x.v[i] = vaddq_f32(x.v[i], y.v[i]);
        return x;
    }
    static Floats subtract(Floats x, Floats y) {
        for (int i = 0; i < 4; i++) x.v[i] = vsubq_f32(x.v[i], y.v[i]);
        return x;
    }
    static Floats multiply(Floats x, Floats y) {
        for (int i = 0; i < 4; i++) x.v[i] = vmulq_f32(x.v[i], y.v[i]);
        return x;
    }
    static Floats divide(Floats x, Floats y) {
        for (int i = 0; i < 4; i++) x.v[i] = vdivq_f32(x.v[i], y.v[i]);
        return x;
    }
    static Floats larger(Floats x, Floats y) {
        for (int i = 0; i < 4; i++) x.v[i] = vmaxq_f32(x.v[i], y.v[i]);
        return x;
    }
    static Floats smaller(Floats x, Floats y) {
        for (int i = 0; i < 4; i++) x.v[i] = vminq_f32(x.v[i], y.v[i]);
        return x;
    }
    static Floats fma(Floats x, Floats y, Floats z) {
        for (int i = 0; i < 4; i++) z.v[i] = vfmaq_f32(z.v[i], x.v[i], y.v[i]);
        return z;
    }
    static Floats negative_fma(Floats x, Floats y, Floats z) {
        for (int i = 0; i < 4; i++) z.v[i] = vfmsq_f32(z.v[i], x.v[i], y.v[i]);
        return z;
    }
    static Floats magnitude(Floats x) {
        for (auto& v : x.v) v = vabsq_f32(v);
        return x;
    }
    static Floats round_to_even(Floats x) {
        for (auto& v : x.v) v = vrndnq_f32(v);
        return x;
    }
    // x * 2^n for whole n in [-126, 127]
    static Floats times_power_of_two(Floats x, Floats n) {
        for (auto& v : n.v) v = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(v), vdupq_n_s32(127)), 23));
        return multiply(x, n);
    }
    // Whole numbers in [-127, 127] to bytes.
    static void store_codes(int8_t* dst, Floats x) {
        const int16x8_t low = vcombine_s16(vmovn_s32(vcvtq_s32_f32(x.v[0])), vmovn_s32(vcvtq_s32_f32(x.v[1])));
        const int16x8_t high = vcombine_s16(vmovn_s32(vcvtq_s32_f32(x.v[2])), vmovn_s32(vcvtq_s32_f32(x.v[3])));
        vst1q_s8(dst, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
    }
    static float sum(Floats x) { return vaddvq_f32(vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]))); }
    // The sums of four vectors.
    static void store_sums(float* dst, const Floats (&x)[4]) {
        for (int i = 0; i < 4; i++) dst[i] = sum(x[i]);
    }
    static float maximum(Floats x) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.v[0], x.v[1]), vmaxq_f32(x.v[2], x.v[3]))); }

    static Floats8 load_floats8(const float* p) { return {{vld1q_f32(p), vld1q_f32(p + 4)}}; }
    static void store8(float* p, Floats8 x) {
        vst1q_f32(p, x.v[0]);
        vst1q_f32(p + 4, x.v[1]);
    }
    static void load_groups(const uint8_t* p, Floats8& scales, Floats8& mins) {
        const GroupCodes codes(p);
        scales = scale8(widen_u8x8(codes.scales), half_at(p));
        mins = scale8(widen_u8x8(codes.mins), half_at(p + 2));
    }
    static Floats8 zero8() { return {{vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}}; }
    static Floats8 widen_u8x8(uint64_t x) {
        const uint16x8_t words = vmovl_u8(vcreate_u8(x));
        return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(words))), vcvtq_f32_u32(vmovl_high_u16(words))}};
    }
    static Floats8 widen_i8x8(uint64_t x) {
        const int16x8_t words = vmovl_s8(vcreate_s8(x));
        return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(words))), vcvtq_f32_s32(vmovl_high_s16(words))}};
    }
    static Floats8 multiply8(Floats8 x, Floats8 y) { return {{vmulq_f32(x.v[0], y.v[0]), vmulq_f32(x.v[1], y.v[1])}}; }
    static Floats8 scale8(Floats8 x, float y) { return {{vmulq_n_f32(x.v[0], y), vmulq_n_f32(x.v[1], y)}}; }
    static Floats8 fma8(Floats8 x, Floats8 y, Floats8 z) {
        return {{vfmaq_f32(z.v[0], x.v[0], y.v[0]), vfmaq_f32(z.v[1], x.v[1], y.v[1])}};
    }
    static float sum8(Floats8 x) { return vaddvq_f32(vaddq_f32(x.v[0], x.v[1])); }
    static Floats widen_u8x16(const uint8_t* p) {
        const uint8x16_t x = load16(p);
        const uint16x8_t low = vmovl_u8(vget_low_u8(x)), high = vmovl_high_u8(x);
        return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
                 vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))}};
    }
    static Floats widen_i8x16(uint64_t first, uint64_t last) {
        const Floats8 a = widen_i8x8(first), b = widen_i8x8(last);
        return {{a.v[0], a.v[1], b.v[0], b.v[1]}};
    }
    static Floats widen_i8x16(const int8_t* p) {
        const int8x16_t x = vld1q_s8(p);
        const int16x8_t low = vmovl_s8(vget_low_s8(x)), high = vmovl_high_s8(x);
        return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
                 vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
    }
    // Elements 2k and 2k + 1 of x, eight lanes each.
    template <int k>
    static Floats spread2(Floats8 x) {
        const float32x4_t a = vdupq_laneq_f32(x.v[k / 2], 2 * (k % 2)), b = vdupq_laneq_f32(x.v[k / 2], 2 * (k % 2) + 1);
        return {{a, a, b, b}};
    }
    static Floats spread2(const float* p) {
        const float32x4_t a = vld1q_dup_f32(p), b = vld1q_dup_f32(p + 1);
        return {{a, a, b, b}};
    }
    // Elements 4k to 4k + 3 of x, four lanes each.
    template <int k>
    static Floats spread4(Floats x) {
        const float32x4_t v = x.v[k];
        return {{vdupq_laneq_f32(v, 0), vdupq_laneq_f32(v, 1), vdupq_laneq_f32(v, 2), vdupq_laneq_f32(v, 3)}};
    }
    // The halves at p and q, eight lanes each.
    static Floats spread_halves(const void* p, const void* q) {
        const float32x4_t a = vdupq_n_f32(half_at(p)), b = vdupq_n_f32(half_at(q));
        return {{a, a, b, b}};
    }
};
