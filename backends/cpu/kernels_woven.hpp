// SPDX-License-Identifier: Apache-2.0
// Dot products of formats that keep eight groups of 32 codes as nibbles, on x86.
//
// Codes are taken in another order than they are stored in: of each 256, for k < 4, codes 8k to 8k + 7 of the even groups 0 2 4 6, then of
// the odd groups 1 3 5 7 (RoundedLayout::woven has the activations' so). A lane then is of one group throughout a block, whose products are
// added as whole numbers and take their scale once.
//
// A Woven<Block> is made of 256 codes at p. Its members, for k < 4:
//   even<k>(), odd<k>()    codes 8k to 8k + 7 of the even and of the odd groups
//   kOddUnit, kMinUnit     what results of odd codes and of minimums are too large by
//   scales, mins           [8]; a minimum is subtracted
template <class Block>
struct Woven {
    static constexpr bool kExists = false;
};

using Bytes32 = __m256i;

// woven[k]: bytes 8k to 8k + 7 of a, b, c and d.
inline __attribute__((always_inline)) void weave(Bytes32 a, Bytes32 b, Bytes32 c, Bytes32 d, Bytes32 (&woven)[4]) {
    const Bytes32 ab = _mm256_unpacklo_epi64(a, b), cd = _mm256_unpacklo_epi64(c, d), ab1 = _mm256_unpackhi_epi64(a, b),
                  cd1 = _mm256_unpackhi_epi64(c, d);
    woven[0] = _mm256_permute2x128_si256(ab, cd, 0x20);
    woven[1] = _mm256_permute2x128_si256(ab1, cd1, 0x20);
    woven[2] = _mm256_permute2x128_si256(ab, cd, 0x31);
    woven[3] = _mm256_permute2x128_si256(ab1, cd1, 0x31);
}

// 256 codes of a rounded row.
inline void weave_codes(const int8_t* codes, int8_t* dst) {
    for (int is_odd = 0; is_odd < 2; is_odd++) {
        const int8_t* p = codes + 32 * is_odd;
        Bytes32 woven[4];
        weave(Vector::load32(p), Vector::load32(p + 64), Vector::load32(p + 128), Vector::load32(p + 192), woven);
        for (int k = 0; k < 4; k++) _mm256_storeu_si256(reinterpret_cast<Bytes32*>(dst + 64 * k + 32 * is_odd), woven[k]);
    }
}

inline Bytes32 low_nibbles(Bytes32 x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
inline Bytes32 high_nibbles(Bytes32 x) { return low_nibbles(_mm256_srli_epi16(x, 4)); }
// 16 where bit `bit` of a byte is set.
template <int bit>
inline Bytes32 fifth_of(Bytes32 x) {
    return _mm256_and_si256(bit < 4 ? _mm256_slli_epi16(x, 4 - bit) : _mm256_srli_epi16(x, bit - 4), _mm256_set1_epi8(16));
}

// Q4_K and Q5_K: groups 2c and 2c + 1 are the low and the high nibbles of 32 bytes.
struct WovenGroups {
    WovenGroups(const uint8_t* head, const uint8_t* nibbles) {
        // Integer units have time for the codes, which vector units lack.
        const GroupCodes codes(head);
        const __m256 halves = _mm256_cvtph_ps(_mm_set1_epi32(copy<int32_t>(head)));
        scales = _mm256_mul_ps(Vector::widen_u8x8(codes.scales), _mm256_moveldup_ps(halves));
        mins = _mm256_mul_ps(Vector::widen_u8x8(codes.mins), _mm256_movehdup_ps(halves));
        weave(Vector::load32(nibbles), Vector::load32(nibbles + 32), Vector::load32(nibbles + 64), Vector::load32(nibbles + 96), bytes);
    }
    static constexpr bool kExists = true;
    static constexpr float kMinUnit = 1.0f;
    Vector::Floats8 scales, mins;
    Bytes32 bytes[4];
};

template <>
struct Woven<BlockQ4K> : WovenGroups {
    explicit Woven(const uint8_t* p) : WovenGroups(p, p + 16) {}
    template <int k>
    Bytes32 even() const {
        return low_nibbles(bytes[k]);
    }
    // Where sums have room for it, high nibbles stay where they are: 16 times as large.
    template <int k>
    Bytes32 odd() const {
        return Vector::kSumsAreWide ? _mm256_and_si256(bytes[k], _mm256_set1_epi8(-16)) : high_nibbles(bytes[k]);
    }
    static constexpr float kOddUnit = Vector::kSumsAreWide ? 1.0f / 16.0f : 1.0f;
};

template <>
struct Woven<BlockQ5K> : WovenGroups {
    explicit Woven(const uint8_t* p) : WovenGroups(p, p + 48), high(p + 16) {}
    // Bits 2c and 2c + 1 of a byte belong to the groups of nibble bytes c: to bits 0 and 1.
    template <int k>
    Bytes32 fifths() const {
        return _mm256_srlv_epi64(_mm256_set1_epi64x(copy<int64_t>(high + 8 * k)), _mm256_set_epi64x(6, 4, 2, 0));
    }
    template <int k>
    Bytes32 even() const {
        return _mm256_or_si256(low_nibbles(bytes[k]), fifth_of<0>(fifths<k>()));
    }
    template <int k>
    Bytes32 odd() const {
        return _mm256_or_si256(high_nibbles(bytes[k]), fifth_of<1>(fifths<k>()));
    }
    static constexpr float kOddUnit = 1.0f;
    const uint8_t* high;
};

// Q4_0 and Q4_1: a group has its own block, whose 16 nibble bytes have codes 0 to 15 below and 16 to 31 above.
template <int n_bytes, int first>
struct WovenBlocks {
    explicit WovenBlocks(const uint8_t* p) {
        const auto four = [&](int block) {
            const uint8_t* q = p + block * n_bytes + first;
            return _mm256_inserti128_si256(_mm256_castsi128_si256(Vector::load16(q)), Vector::load16(q + 4 * n_bytes), 1);
        };
        const Bytes32 a = four(0), b = four(1), c = four(2), d = four(3);
        even_bytes[0] = _mm256_unpacklo_epi64(a, c), even_bytes[1] = _mm256_unpackhi_epi64(a, c);
        odd_bytes[0] = _mm256_unpacklo_epi64(b, d), odd_bytes[1] = _mm256_unpackhi_epi64(b, d);
    }
    // The halves of eight blocks.
    static Vector::Floats8 halves(const uint8_t* p) {
        const auto half = [&](int block) { return copy<int16_t>(p + block * n_bytes); };
        return _mm256_cvtph_ps(_mm_set_epi16(half(7), half(6), half(5), half(4), half(3), half(2), half(1), half(0)));
    }
    template <int k>
    Bytes32 even() const {
        return k < 2 ? low_nibbles(even_bytes[k % 2]) : high_nibbles(even_bytes[k % 2]);
    }
    template <int k>
    Bytes32 odd() const {
        return k < 2 ? low_nibbles(odd_bytes[k % 2]) : high_nibbles(odd_bytes[k % 2]);
    }
    static constexpr bool kExists = true;
    static constexpr float kOddUnit = 1.0f;
    Bytes32 even_bytes[2], odd_bytes[2];
};

template <>
struct Woven<BlockQ40> : WovenBlocks<18, 2> {
    explicit Woven(const uint8_t* p) : WovenBlocks(p), scales(halves(p)), mins(scales) {}
    static constexpr float kMinUnit = 8.0f;
    Vector::Floats8 scales, mins;
};

template <>
struct Woven<BlockQ41> : WovenBlocks<20, 4> {
    explicit Woven(const uint8_t* p) : WovenBlocks(p), scales(halves(p)), mins(halves(p + 2)) {}
    static constexpr float kMinUnit = -1.0f;
    Vector::Floats8 scales, mins;
};

// n_blocks blocks of 256 elements of one weight row times N rounded rows.
template <class Block, int N>
inline __attribute__((always_inline)) void dot_woven(const uint8_t* p, int64_t n_blocks, const RoundedRow (&x)[N], float (&result)[N]) {
    constexpr int kBytes = Block::kStepBytes * (256 / Block::kStepLength);
    Vector::Floats8 even[N], odd[N], minimums[N];
    for (int i = 0; i < N; i++) even[i] = odd[i] = minimums[i] = Vector::zero8();
    for (int64_t b = 0; b < n_blocks; b++, p += kBytes) {
        prefetch<kBytes>(p, kFetchAhead);
        const Woven<Block> block(p);
        Bytes32 even_sums[N], odd_sums[N];
        for (int i = 0; i < N; i++) even_sums[i] = odd_sums[i] = _mm256_setzero_si256();
        unrolled<4>([&]<int k>() __attribute__((always_inline)) {
            const Bytes32 even_codes = block.template even<k>(), odd_codes = block.template odd<k>();
            unrolled<N>([&]<int i>() __attribute__((always_inline)) {
                const int8_t* codes = x[i].woven + 256 * b + 64 * k;
                even_sums[i] = Vector::add_products(even_sums[i], even_codes, Vector::load32(codes));
                odd_sums[i] = Vector::add_products(odd_sums[i], odd_codes, Vector::load32(codes + 32));
            });
        });
        unrolled<N>([&]<int i>() __attribute__((always_inline)) {
            const Vector::Floats8 scales = Vector::multiply8(block.scales, Vector::load_floats8(x[i].scales32 + 8 * b));
            even[i] = Vector::fma8(Vector::widen_sums(even_sums[i]), _mm256_moveldup_ps(scales), even[i]);
            odd[i] = Vector::fma8(Vector::widen_sums(odd_sums[i]), _mm256_movehdup_ps(scales), odd[i]);
            minimums[i] = Vector::fma8(block.mins, Vector::load_floats8(x[i].sums32 + 8 * b), minimums[i]);
        });
    }
    for (int i = 0; i < N; i++) {
        const Vector::Floats8 products = Vector::fma8(odd[i], _mm256_set1_ps(Woven<Block>::kOddUnit), even[i]);
        result[i] = Vector::sum8(Vector::fma8(minimums[i], _mm256_set1_ps(-Woven<Block>::kMinUnit), products));
    }
}
