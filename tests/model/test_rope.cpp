// SPDX-License-Identifier: Apache-2.0
// Rotary frequencies against the published figures of the models that this library is for.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "model/rope.hpp"

using namespace ponder;

TEST_CASE("rope: plain frequencies") {
    const RopeTable table = make_rope_table({.n_rot = 8, .freq_base = 10'000.0f}, {});
    REQUIRE(table.inverse_frequencies.size() == 4);
    for (size_t i = 0; i < 4; i++)
        CHECK(table.inverse_frequencies[i] == doctest::Approx(std::pow(10'000.0, -2.0 * static_cast<double>(i) / 8.0)));
    CHECK(table.magnitude == 1.0f);
}

TEST_CASE("rope: linear scaling divides every frequency") {
    const RopeTable table = make_rope_table({.n_rot = 4, .scaling = RopeScaling::kLinear, .factor = 4.0f}, {});
    CHECK(table.inverse_frequencies[0] == doctest::Approx(0.25));
    CHECK(table.inverse_frequencies[1] == doctest::Approx(0.0025));
}

TEST_CASE("rope: YaRN of R1-0528-Qwen3-8B keeps pairs up to 23, stretches pairs from 40 on") {
    const RopeParameters rope{.n_rot = 128, .freq_base = 1e6f, .scaling = RopeScaling::kYarn, .factor = 4.0f, .original_context = 32'768};
    const RopeTable table = make_rope_table(rope, {});
    for (size_t i = 0; i < 64; i++) {
        const double plain = std::pow(1e6, -2.0 * static_cast<double>(i) / 128.0);
        const double ratio = double{table.inverse_frequencies[i]} / plain;
        if (i <= 23) CHECK(ratio == doctest::Approx(1.0));
        if (i >= 40) CHECK(ratio == doctest::Approx(0.25));
        if (i > 23 && i < 40) CHECK((ratio < 0.999 && ratio > 0.251));
    }
    CHECK(table.magnitude == doctest::Approx(1.138629).epsilon(1e-6));
}

TEST_CASE("rope: YaRN of R1, theta 10000 over 64 dimensions, blends pairs 10 to 23") {
    const RopeParameters rope{.n_rot = 64, .freq_base = 1e4f, .scaling = RopeScaling::kYarn, .factor = 40.0f, .original_context = 4'096};
    const RopeTable table = make_rope_table(rope, {});
    for (size_t i = 0; i < 32; i++) {
        const double ratio = double{table.inverse_frequencies[i]} / std::pow(1e4, -2.0 * static_cast<double>(i) / 64.0);
        if (i <= 10) CHECK(ratio == doctest::Approx(1.0));
        if (i >= 23) CHECK(ratio == doctest::Approx(1.0 / 40.0));
    }
}

TEST_CASE("rope: a file's attention factor can undo YaRN's magnitude") {
    const RopeParameters rope{
        .n_rot = 128, .scaling = RopeScaling::kYarn, .factor = 4.0f, .original_context = 32'768, .attention_factor = 0.8782488562869419f};
    CHECK(make_rope_table(rope, {}).magnitude == doctest::Approx(1.0).epsilon(1e-6));
}

TEST_CASE("rope: per-pair factors divide") {
    const std::vector<float> factors{1.0f, 8.0f};
    const RopeTable table = make_rope_table({.n_rot = 4}, factors);
    CHECK(table.inverse_frequencies[0] == 1.0f);
    CHECK(table.inverse_frequencies[1] == doctest::Approx(0.01 / 8.0));
}
