// SPDX-License-Identifier: Apache-2.0
// The formats whose codes are indices of grids: eight elements, or four, to an entry. Blocks as kernels_blocks.hpp has them; the layouts
// are drawn in lib/quant.
#include "kernels_blocks.hpp"

// Eight bytes of seven signs each, to which the eighth is added that makes the number of minus signs even.
inline uint64_t with_eighth_signs(uint64_t sevens) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    uint64_t parity = sevens ^ sevens >> 4;  // what comes in from the next byte stays out of the lowest bit, which is all that is read
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return sevens | (parity & kOnes) << 7;
}

// Four fields of seven bits, to four bytes.
inline uint64_t sevens_to_bytes(uint32_t x) { return (x & 0x7fu) | (x << 1 & 0x7f00u) | (x << 2 & 0x7f0000u) | (x << 3 & 0x7f000000u); }

// The upper nibbles of eight bytes that lie `stride` apart.
template <int stride>
inline uint64_t upper_nibbles(const uint8_t* p) {
    uint64_t nibbles = 0;
    for (int i = 0; i < 8; i++) nibbles |= uint64_t{p[stride * i]} >> 4 << (8 * i);
    return nibbles;
}

// 2n + 1 of eight nibbles, each a byte.
inline uint64_t odd_bytes(uint64_t nibbles) { return nibbles << 1 | 0x0101010101010101; }

// Sixteen scales, (2n + 1) * factor, of the nibbles of eight bytes.
inline Vector::Floats odd_scales(const uint8_t* nibbles, float factor) {
    uint8_t odd[16];
    for (int i = 0; i < 8; i++) {
        odd[2 * i] = static_cast<uint8_t>(2 * (nibbles[i] & 15) + 1);
        odd[2 * i + 1] = static_cast<uint8_t>(2 * (nibbles[i] >> 4) + 1);
    }
    return Vector::multiply(Vector::widen_u8x16(odd), Vector::set(factor));
}

struct SixteenSignedGroups : SixteenGroups, NoMinimums {
    static constexpr bool kTakesShift = false;
    static constexpr int kShift = kSigned;
    template <int64_t d>
    void store_scales(float* s, float*) const {
        store<d>(s, scales);
    }
};

struct BlockIq2Xxs : EightSignedGroups {
    static constexpr int kType = 16, kLargest = 43, kStepBytes = 66;
    explicit BlockIq2Xxs(const uint8_t* block) : p(block + 2) {
        scales = Vector::scale8(Vector::widen_u8x8(odd_bytes(upper_nibbles<8>(p + 7))), 0.125f * half_at(block));
    }
    template <int k>
    Vector::Bytes codes() const {
        uint64_t words[8];
        for (int i = 0; i < 8; i++) words[i] = kIq2XxsGrid[p[16 * k + i / 4 * 8 + i % 4]];
        const uint64_t signs = sevens_to_bytes(copy<uint32_t>(p + 16 * k + 4)) | sevens_to_bytes(copy<uint32_t>(p + 16 * k + 12)) << 32;
        return Vector::negate(Vector::from_words(words), with_eighth_signs(signs));
    }
    const uint8_t* p;
};

struct BlockIq2Xs : SixteenSignedGroups {
    static constexpr int kType = 17, kLargest = 43, kStepBytes = 74;
    explicit BlockIq2Xs(const uint8_t* block) : p(block + 2) { scales = odd_scales(block + 66, 0.125f * half_at(block)); }
    template <int k>
    Vector::Bytes codes() const {
        const uint64_t first = copy<uint64_t>(p + 16 * k), second = copy<uint64_t>(p + 16 * k + 8);
        uint64_t words[8];
        for (int i = 0; i < 4; i++) {
            words[i] = kIq2XsGrid[first >> (16 * i) & 511];
            words[4 + i] = kIq2XsGrid[second >> (16 * i) & 511];
        }
        return Vector::negate(Vector::from_words(words), with_eighth_signs(high_sevens(first) | high_sevens(second) << 32));
    }
    // The upper seven bits of four codes, a byte each.
    static uint64_t high_sevens(uint64_t four) {
        four = four >> 9 & 0x007f007f007f007f;
        four = (four | four >> 8) & 0x0000ffff0000ffff;
        return (four | four >> 16) & 0xffffffff;
    }
    const uint8_t* p;
};

struct BlockIq2S : SixteenSignedGroups {
    static constexpr int kType = 22, kLargest = 43, kStepBytes = 82;
    explicit BlockIq2S(const uint8_t* block) : p(block) { scales = odd_scales(p + 74, 0.125f * half_at(p)); }
    template <int k>
    Vector::Bytes codes() const {
        uint64_t words[8];
        const uint32_t high = copy<uint16_t>(p + 66 + 2 * k);
        for (int i = 0; i < 8; i++) words[i] = kIq2SGrid[p[2 + 8 * k + i] | (high >> (2 * i) & 3) << 8];
        return Vector::negate(Vector::from_words(words), copy<uint64_t>(p + 34 + 8 * k));
    }
    const uint8_t* p;
};

struct BlockIq3Xxs : EightSignedGroups {
    static constexpr int kType = 18, kLargest = 62, kStepBytes = 98;
    explicit BlockIq3Xxs(const uint8_t* block) : p(block + 2) {
        scales = Vector::scale8(Vector::widen_u8x8(odd_bytes(upper_nibbles<4>(p + 67))), 0.25f * half_at(block));
    }
    template <int k>
    Vector::Bytes codes() const {
        uint64_t words[8];
        for (int i = 0; i < 8; i++) {
            const uint8_t* at = p + 16 * k + 2 * i;
            words[i] = kIq3XxsGrid[at[0]] | uint64_t{kIq3XxsGrid[at[1]]} << 32;
        }
        const uint8_t* own = p + 64 + 8 * k;
        const uint64_t signs = sevens_to_bytes(copy<uint32_t>(own)) | sevens_to_bytes(copy<uint32_t>(own + 4)) << 32;
        return Vector::negate(Vector::from_words(words), with_eighth_signs(signs));
    }
    const uint8_t* p;
};

struct BlockIq3S : EightSignedGroups {
    static constexpr int kType = 21, kLargest = 15, kStepBytes = 110;
    explicit BlockIq3S(const uint8_t* block) : p(block) {
        scales = Vector::scale8(Vector::widen_u8x8(odd_bytes(nibbles_to_bytes(copy<uint32_t>(p + 106)))), half_at(p));
    }
    template <int k>
    Vector::Bytes codes() const {
        uint64_t words[8];
        const uint32_t high = copy<uint16_t>(p + 66 + 2 * k);
        for (int i = 0; i < 8; i++) {
            const uint8_t* at = p + 2 + 16 * k + 2 * i;
            words[i] = kIq3SGrid[at[0] | (high >> (2 * i) & 1) << 8] | uint64_t{kIq3SGrid[at[1] | (high >> (2 * i + 1) & 1) << 8]} << 32;
        }
        return Vector::negate(Vector::from_words(words), copy<uint64_t>(p + 74 + 8 * k));
    }
    const uint8_t* p;
};

// An element e of -1, 0 or 1 and its shift of an eighth up or down are the code 8 (e + 1), and two more for up: both less 9, and a scale an
// eighth as large.
constexpr float kShiftedMinimum = 9.0f;

struct BlockIq1S : EightGroupsWithMinimums {
    static constexpr int kType = 19, kLargest = 18, kStepBytes = 50;
    explicit BlockIq1S(const uint8_t* block) : p(block) {
        const uint64_t threes = upper_nibbles<2>(p + 35) & 0x0707070707070707;
        scales = Vector::scale8(Vector::widen_u8x8(odd_bytes(threes)), 0.125f * half_at(p));
        mins = Vector::scale8(scales, kShiftedMinimum);
    }
    template <int k>
    Vector::Bytes codes() const {
        uint64_t words[8];
        const uint32_t first = copy<uint16_t>(p + 34 + 4 * k), second = copy<uint16_t>(p + 36 + 4 * k);
        for (int i = 0; i < 8; i++) words[i] = kIq1Steps[p[2 + 8 * k + i] | ((i < 4 ? first : second) >> (3 * (i % 4)) & 7) << 8];
        constexpr uint64_t kAll = 0xffffffff;
        const uint64_t are_up = (first >> 15 == 0 ? kAll : 0) | (second >> 15 == 0 ? kAll << 32 : 0);
        return Vector::join(Vector::from_words(words), Vector::bits(are_up, 2));
    }
    const uint8_t* p;
};

struct BlockIq1M : SixteenGroupsWithMinimums {
    static constexpr int kType = 29, kLargest = 18, kStepBytes = 56;
    explicit BlockIq1M(const uint8_t* block) : p(block) {
        const uint64_t words = copy<uint64_t>(p + 48);
        const auto half =
            static_cast<uint16_t>((words >> 12 & 0xf) | (words >> 24 & 0xf0) | (words >> 36 & 0xf00) | (words >> 48 & 0xf000));
        uint8_t odd[16];
        for (int g = 0; g < 16; g++) odd[g] = static_cast<uint8_t>(2 * (words >> (g / 4 * 16 + g % 4 * 3) & 7) + 1);
        scales = Vector::multiply(Vector::widen_u8x16(odd), Vector::set(0.125f * half_at(&half)));
        mins = Vector::multiply(scales, Vector::set(kShiftedMinimum));
    }
    template <int k>
    Vector::Bytes codes() const {
        uint64_t words[8];
        const uint32_t nibbles = copy<uint32_t>(p + 32 + 4 * k);
        for (int i = 0; i < 8; i++) words[i] = kIq1Steps[p[8 * k + i] | (nibbles >> (4 * i) & 7) << 8];
        const uint64_t down = nibbles_to_bytes(nibbles) >> 3 & 0x0101010101010101;  // a bit of eight neighbours
        return Vector::join(Vector::from_words(words), Vector::bits(~(down * 0xff), 2));
    }
    const uint8_t* p;
};

template <template <class...> class List>
using OfAllBlocks = List<BlockQ40, BlockQ41, BlockQ50, BlockQ51, BlockQ80, BlockQ2K, BlockQ3K, BlockQ4K, BlockQ5K, BlockQ6K, BlockIq4Nl,
                         BlockIq4Xs, BlockMxfp4, BlockIq2Xxs, BlockIq2Xs, BlockIq2S, BlockIq3Xxs, BlockIq3S, BlockIq1S, BlockIq1M>;
