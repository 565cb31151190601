// SPDX-License-Identifier: Apache-2.0
// Decoders against blocks that the reference implementation decoded: equal bit for bit, no format is allowed even one ulp.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "npy.hpp"
#include "quant/quant.hpp"
#include "test_data.hpp"

using ponder::QuantType;

namespace {

// Formats that are new or trivial have no recorded blocks; their own cases below stand in.
bool has_golden_blocks(const QuantType& type) { return type.block_len > 1 && type.id < 41; }

std::vector<float> decode(const QuantType& type, const std::byte* src, int64_t n_blocks) {
    std::vector<float> values(static_cast<size_t>(n_blocks * type.block_len));
    type.decode(src, values.data(), n_blocks);
    return values;
}

}  // namespace

TEST_CASE("quant: every block format decodes the reference's blocks bit for bit") {
    if (!ponder_test::has_data("golden/blocks")) return;
    int n_formats = 0;
    for (const QuantType& type : ponder::quant_types()) {
        if (!has_golden_blocks(type)) continue;
        CAPTURE(type.name);
        const std::string stem = ponder_test::data_path(std::string("golden/blocks/") + type.name);
        const auto bytes = ponder_test::read_bytes(stem + ".bin");
        const auto expected = ponder_test::read_npy(stem + ".npy");
        REQUIRE(bytes.has_value());
        REQUIRE(expected.has_value());
        REQUIRE(expected->shape.size() == 2);
        REQUIRE(expected->shape[1] == type.block_len);
        const int64_t n_blocks = expected->shape[0];
        REQUIRE(bytes->size() == static_cast<size_t>(n_blocks) * type.block_bytes);

        // One byte off any natural alignment, as a block in a mapped file may be.
        std::vector<std::byte> shifted(bytes->size() + 1);
        std::memcpy(shifted.data() + 1, bytes->data(), bytes->size());
        const std::vector<float> values = decode(type, shifted.data() + 1, n_blocks);
        int64_t n_wrong = 0;
        for (size_t i = 0; i < values.size(); i++) {
            n_wrong += std::bit_cast<uint32_t>(values[i]) != std::bit_cast<uint32_t>(expected->data[i]);
        }
        CHECK(n_wrong == 0);
        n_formats++;
    }
    CHECK(n_formats == 23);
}

TEST_CASE("quant: every decoder takes any bytes") {
    uint64_t state = 88172645463325252ull;
    for (const QuantType& type : ponder::quant_types()) {
        CAPTURE(type.name);
        constexpr int64_t kBlocks = 64;
        std::vector<std::byte> bytes(static_cast<size_t>(kBlocks) * type.block_bytes);
        for (std::byte& byte : bytes) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            byte = static_cast<std::byte>(state >> 56);
        }
        CHECK(decode(type, bytes.data(), kBlocks).size() == static_cast<size_t>(kBlocks * type.block_len));
        std::fill(bytes.begin(), bytes.end(), std::byte{0xff});
        decode(type, bytes.data(), kBlocks);
    }
}

TEST_CASE("quant: one-bit and two-bit formats of one scale decode by their layout") {
    std::byte block[18] = {};
    block[1] = std::byte{0x40};  // d = 2
    block[2] = std::byte{0b1110'0100};
    float values[128];
    ponder::find_quant_type("Q1_0")->decode(block, values, 1);
    const float bits[8] = {-2, -2, 2, -2, -2, 2, 2, 2};
    for (int j = 0; j < 8; j++) CHECK(values[j] == bits[j]);
    CHECK(values[8] == -2.0f);
    CHECK(values[127] == -2.0f);
    ponder::find_quant_type("Q2_0")->decode(block, values, 1);
    const float pairs[4] = {-2, 0, 2, 4};
    for (int j = 0; j < 4; j++) CHECK(values[j] == pairs[j]);
    CHECK(values[63] == -2.0f);
}

TEST_CASE("quant: whole numbers and doubles decode to the nearest float32") {
    const unsigned char bytes[8] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const auto* src = reinterpret_cast<const std::byte*>(bytes);
    for (const char* name : {"I8", "I16", "I32", "I64"}) {
        float value = 0;
        ponder::find_quant_type(name)->decode(src, &value, 1);
        CHECK(value == -2.0f);
    }
    const double doubles[] = {0.1, -1e300, 1e-300, -0.0};
    float values[4];
    ponder::find_quant_type("F64")->decode(reinterpret_cast<const std::byte*>(doubles), values, 4);
    CHECK(values[0] == 0.1f);
    CHECK(values[1] == -std::numeric_limits<float>::infinity());
    CHECK(values[2] == 0.0f);
    CHECK(std::signbit(values[3]));
}
