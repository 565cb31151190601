// SPDX-License-Identifier: Apache-2.0
// Encoders: how much a round trip may lose, what they do with odd values, and that importance is heeded.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "quant/quant.hpp"

using ponder::QuantType;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Normally distributed by the sum of twelve uniforms; the same numbers on every platform.
class Noise {
  public:
    float next_bits() { return std::bit_cast<float>(static_cast<uint32_t>(step() >> 32)); }
    float next() {
        float sum = -6;
        for (int i = 0; i < 12; i++) {
            sum += static_cast<float>(step() >> 40) * 0x1p-24f;
        }
        return sum;
    }
    std::vector<float> take(size_t n, float deviation) {
        std::vector<float> values(n);
        for (float& value : values) value = deviation * next();
        return values;
    }

  private:
    uint64_t step() {
        state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
        return state_;
    }

    uint64_t state_ = 0x9e3779b97f4a7c15ull;
};

std::vector<float> round_trip(const QuantType& type, const std::vector<float>& src, const float* importance = nullptr) {
    const size_t n_blocks = src.size() / type.block_len;
    // Bytes past the end show a write that is too long.
    std::vector<std::byte> blocks(n_blocks * type.block_bytes + 8, std::byte{0xa5});
    type.encode(src.data(), blocks.data(), static_cast<int64_t>(n_blocks), importance);
    CHECK(std::all_of(blocks.end() - 8, blocks.end(), [](std::byte b) { return b == std::byte{0xa5}; }));
    std::vector<float> values(src.size());
    type.decode(blocks.data(), values.data(), static_cast<int64_t>(n_blocks));
    return values;
}

// Root of the weighted mean squared error over that of the values themselves.
double relative_error(const std::vector<float>& expected, const std::vector<float>& actual, const std::vector<float>* weights = nullptr) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        const double difference = static_cast<double>(actual[i]) - expected[i], weight = weights ? (*weights)[i] : 1;
        error += weight * difference * difference;
        norm += weight * expected[i] * expected[i];
    }
    return std::sqrt(error / norm);
}

bool is_block_format(const QuantType& type) { return type.encode != nullptr && type.block_len > 1; }

struct Bound {
    const char* name;
    double relative_error;
};

// For normally distributed weights of the size that models have; each about 2 % above what was measured when the encoder was written.
constexpr Bound kBounds[] = {
    {"F32", 0},       {"F16", 2.2e-4},   {"BF16", 1.8e-3},   {"Q8_0", 0.0055},  {"Q6_K", 0.0173}, {"Q5_K", 0.0354},
    {"Q4_K", 0.0716}, {"Q3_K", 0.1462},  {"Q2_K", 0.2692},   {"Q4_0", 0.0826},  {"Q4_1", 0.0709}, {"Q5_0", 0.0409},
    {"Q5_1", 0.0341}, {"IQ4_NL", 0.075}, {"IQ4_XS", 0.0756}, {"MXFP4", 0.1138},
};

}  // namespace

TEST_CASE("quant: a round trip loses no more than each format's bound") {
    Noise noise;
    const std::vector<float> weights = noise.take(256 * 512, 0.02f);
    int n_encoders = 0;
    for (const QuantType& type : ponder::quant_types()) n_encoders += type.encode != nullptr;
    CHECK(n_encoders == static_cast<int>(std::size(kBounds)));
    for (const Bound& bound : kBounds) {
        CAPTURE(bound.name);
        const QuantType* type = ponder::find_quant_type(std::string_view(bound.name));
        REQUIRE(type != nullptr);
        CHECK(relative_error(weights, round_trip(*type, weights)) <= bound.relative_error);
    }
}

TEST_CASE("quant: a round trip keeps its quality at any scale that halves can hold") {
    Noise noise;
    for (const Bound& bound : kBounds) {
        const QuantType& type = *ponder::find_quant_type(std::string_view(bound.name));
        if (!is_block_format(type)) continue;
        CAPTURE(bound.name);
        for (const float deviation : {0.5f, 100.0f, 10000.0f}) {
            CAPTURE(deviation);
            const std::vector<float> weights = noise.take(256 * 64, deviation);
            CHECK(relative_error(weights, round_trip(type, weights)) <= 1.06 * bound.relative_error);
        }
    }
}

TEST_CASE("quant: encoding decoded blocks again changes little") {
    Noise noise;
    for (const Bound& bound : kBounds) {
        CAPTURE(bound.name);
        const QuantType& type = *ponder::find_quant_type(std::string_view(bound.name));
        const std::vector<float> once = round_trip(type, noise.take(256 * 64, 1.0f));
        CHECK(relative_error(once, round_trip(type, once)) <= 0.5 * bound.relative_error);
    }
}

TEST_CASE("quant: zeros stay zeros, also when they are all a block has") {
    const std::vector<float> zeros(512, 0.0f);
    std::vector<float> negative(512, -0.0f), tiny(512, std::numeric_limits<float>::denorm_min());
    for (const QuantType& type : ponder::quant_types()) {
        if (!type.encode) continue;
        CAPTURE(type.name);
        for (const std::vector<float>& values : {round_trip(type, zeros), round_trip(type, negative)}) {
            CHECK(std::all_of(values.begin(), values.end(), [](float v) { return v == 0.0f; }));
        }
        if (!is_block_format(type)) continue;
        const std::vector<float> values = round_trip(type, tiny);
        CHECK(std::all_of(values.begin(), values.end(), [](float v) { return v == 0.0f; }));
    }
}

TEST_CASE("quant: any input makes blocks that decode to finite values") {
    Noise noise;
    const float largest = std::numeric_limits<float>::max();
    const float odd[] = {kNan,   kInfinity, -kInfinity, largest,   -largest, std::numeric_limits<float>::denorm_min(),
                         1e-30f, 1e30f,     65504.0f,   -65536.0f, 1e-7f};
    for (const QuantType& type : ponder::quant_types()) {
        if (!is_block_format(type)) continue;
        CAPTURE(type.name);
        const auto check_finite = [&](const std::vector<float>& src, const float* importance) {
            const std::vector<float> values = round_trip(type, src, importance);
            CHECK(std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }));
        };
        for (const float value : odd) {
            CAPTURE(value);
            check_finite(std::vector<float>(256, value), nullptr);  // a block of nothing else
            std::vector<float> one = noise.take(256, 0.02f);
            one[37] = value;  // one among ordinary weights
            check_finite(one, nullptr);
            const std::vector<float> ordinary = noise.take(256, 0.02f);
            check_finite(ordinary, std::vector<float>(256, value).data());
            std::vector<float> importance(256, 1.0f);
            importance[37] = value;
            check_finite(ordinary, importance.data());
            check_finite(one, one.data());
        }
        std::vector<float> mixed(256);
        for (size_t i = 0; i < mixed.size(); i++) mixed[i] = odd[i % std::size(odd)] * (i % 3 == 0 ? -1.0f : 1.0f);
        check_finite(mixed, nullptr);
        check_finite(mixed, mixed.data());
        std::vector<float> bits(256 * 64), other_bits(bits.size());  // floats of every exponent, weighted by such
        for (float& value : bits) value = noise.next_bits();
        for (float& value : other_bits) value = std::fabs(noise.next_bits());
        check_finite(bits, nullptr);
        check_finite(bits, other_bits.data());
        check_finite(noise.take(bits.size(), 0.02f), other_bits.data());
    }
}

TEST_CASE("quant: constant blocks survive") {
    for (const QuantType& type : ponder::quant_types()) {
        if (!is_block_format(type)) continue;
        CAPTURE(type.name);
        for (const float value : {0.75f, -0.75f}) {
            // MXFP4 has this value exactly; elsewhere the rounding of scales may take a little.
            const std::vector<float> src(256, value);
            CHECK(relative_error(src, round_trip(type, src)) <= 0.01);
        }
    }
}

TEST_CASE("quant: important elements come out better, at the cost of the rest") {
    Noise noise;
    const std::vector<float> weights = noise.take(256 * 64, 0.02f);
    std::vector<float> importance(weights.size());
    for (size_t i = 0; i < importance.size(); i++) importance[i] = i % 7 == 0 ? 100.0f : 1.0f;
    for (const QuantType& type : ponder::quant_types()) {
        if (!is_block_format(type) || std::string_view(type.name) == "Q8_0") continue;
        CAPTURE(type.name);
        const double plain = relative_error(weights, round_trip(type, weights), &importance);
        const double guided = relative_error(weights, round_trip(type, weights, importance.data()), &importance);
        CHECK(guided < 0.98 * plain);
    }
}

TEST_CASE("quant: importance of all ones, or of nothing, is the same as none") {
    Noise noise;
    const std::vector<float> weights = noise.take(256 * 8, 0.02f);
    const std::vector<float> ones(weights.size(), 1.0f), zeros(weights.size(), 0.0f), nans(weights.size(), kNan);
    for (const QuantType& type : ponder::quant_types()) {
        if (!type.encode) continue;
        CAPTURE(type.name);
        const std::vector<float> plain = round_trip(type, weights);
        CHECK(round_trip(type, weights, ones.data()) == plain);
        CHECK(round_trip(type, weights, zeros.data()) == plain);
        CHECK(round_trip(type, weights, nans.data()) == plain);
    }
}
