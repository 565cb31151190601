// SPDX-License-Identifier: Apache-2.0
// The sampler: exact sets of its filters, draws against their distribution, and what must not depend on the platform.
#include "runtime/sampler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <vector>

using ponder::Sampler;
using ponder::SamplerParams;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Logits of the given probabilities.
std::vector<float> logits_of(const std::vector<double>& probabilities) {
    std::vector<float> logits;
    for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
    return logits;
}

std::vector<int> count_draws(SamplerParams params, const std::vector<float>& logits, int n_draws) {
    Sampler sampler(params);
    std::vector<int> counts(logits.size(), 0);
    for (int i = 0; i < n_draws; ++i) {
        const int32_t id = sampler.sample(logits, {}, static_cast<size_t>(i));
        REQUIRE(id >= 0);
        ++counts[static_cast<size_t>(id)];
    }
    return counts;
}

// The tokens that can be drawn at all; 4,000 draws miss a token of 1 % with a chance below 1e-17.
std::set<int> reachable(SamplerParams params, const std::vector<float>& logits) {
    const auto counts = count_draws(params, logits, 4000);
    std::set<int> ids;
    for (size_t i = 0; i < counts.size(); ++i) {
        if (counts[i] > 0) ids.insert(static_cast<int>(i));
    }
    return ids;
}

double chi_square(const std::vector<int>& counts, const std::vector<double>& probabilities, int n_draws) {
    double sum = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
        const double expected = probabilities[i] * n_draws;
        if (expected > 0) sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return sum;
}

// Unsorted on purpose. Descending: id 3 (0.40), 1 (0.25), 5 (0.15), 0 (0.10), 4 (0.06), 2 (0.04).
const std::vector<double> kSix = {0.10, 0.25, 0.04, 0.40, 0.06, 0.15};

}  // namespace

TEST_CASE("sampler: greedy takes the largest logit and the lowest id of equals") {
    Sampler sampler({});
    CHECK(sampler.sample(std::vector<float>{0.5f, 2.0f, 2.0f, 1.0f}, {}, 0) == 1);
    CHECK(sampler.sample(std::vector<float>{-5.0f, -5.0f}, {}, 7) == 0);
    CHECK(Sampler({.temperature = -1.0f}).sample(std::vector<float>{1.0f, 3.0f}, {}, 0) == 1);
    CHECK(Sampler({.temperature = kNan}).sample(std::vector<float>{1.0f, 3.0f}, {}, 0) == 1);
}

TEST_CASE("sampler: values that are not finite") {
    for (const float temperature : {0.0f, 1.0f}) {
        Sampler sampler({.temperature = temperature});
        CHECK(sampler.sample(std::vector<float>{kNan, -kInfinity, 1.0f, kNan}, {}, 0) == 2);
        CHECK(sampler.sample(std::vector<float>{1.0f, kInfinity, 2.0f}, {}, 0) == 1);
        CHECK(sampler.sample(std::vector<float>{kNan, -kInfinity}, {}, 0) == Sampler::kNoToken);
        CHECK(sampler.sample({}, {}, 0) == Sampler::kNoToken);
    }
    // Two infinities are two equals.
    CHECK(reachable({.temperature = 1.0f}, {0.0f, kInfinity, kInfinity}) == std::set<int>{1, 2});
    CHECK(reachable({.temperature = kInfinity}, {0.0f, 50.0f, -50.0f}) == std::set<int>{0, 1, 2});
    CHECK(reachable({.temperature = 1e-45f}, {3.0f, std::numeric_limits<float>::max(), -std::numeric_limits<float>::max()}) ==
          std::set<int>{1});
}

TEST_CASE("sampler: draws follow the softmax of the tempered logits") {
    constexpr int kDraws = 200'000;
    for (const float temperature : {0.6f, 1.0f, 1.7f}) {
        for (const uint64_t seed : {0ull, 1ull, 0xffffffffffffffffull}) {
            std::vector<float> logits;
            std::vector<double> probabilities;
            double sum = 0;
            for (int i = 0; i < 20; ++i) {
                logits.push_back(static_cast<float>(3.0 * std::sin(i * 1.3) - 0.5));
                probabilities.push_back(std::exp(static_cast<double>(logits.back()) / static_cast<double>(temperature)));
                sum += probabilities.back();
            }
            for (double& p : probabilities) p /= sum;
            const auto counts = count_draws({.temperature = temperature, .seed = seed}, logits, kDraws);
            CHECK(chi_square(counts, probabilities, kDraws) < 43.8);  // 19 degrees of freedom, 0.1 %
        }
    }
}

TEST_CASE("sampler: draws are uniform over many equal tokens") {
    const auto counts = count_draws({.temperature = 1.0f, .seed = 42}, std::vector<float>(256, 1.5f), 256'000);
    CHECK(chi_square(counts, std::vector<double>(256, 1.0 / 256), 256'000) < 330.5);  // 255 degrees of freedom, 0.1 %
}

TEST_CASE("sampler: top-k keeps exactly k, lower ids first among equals") {
    const auto logits = logits_of(kSix);
    CHECK(reachable({.temperature = 1.0f, .top_k = 1}, logits) == std::set<int>{3});
    CHECK(reachable({.temperature = 1.0f, .top_k = 3}, logits) == std::set<int>{1, 3, 5});
    CHECK(reachable({.temperature = 1.0f, .top_k = 6}, logits).size() == 6);
    CHECK(reachable({.temperature = 1.0f, .top_k = 100}, logits).size() == 6);
    CHECK(reachable({.temperature = 1.0f, .top_k = 3}, {1.0f, 2.0f, 1.0f, 1.0f, 1.0f}) == std::set<int>{0, 1, 2});
    // More than the heap takes: all draws lie inside the best 2,000 of 4,000, whose lowest id is the last of them.
    std::vector<float> ramp(4000);
    for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i) * 1e-4f;
    const auto ids = reachable({.temperature = 1.0f, .top_k = 2000}, ramp);
    CHECK(*ids.begin() >= 2000);
    CHECK(ids.size() > 1600);
}

TEST_CASE("sampler: top-p keeps the fewest tokens that reach the mass") {
    const auto logits = logits_of(kSix);
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.0f}, logits) == std::set<int>{3});
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.39f}, logits) == std::set<int>{3});
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.41f}, logits) == std::set<int>{1, 3});
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.79f}, logits) == std::set<int>{1, 3, 5});
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.81f}, logits) == std::set<int>{0, 1, 3, 5});
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.97f}, logits).size() == 6);
    // Renormalised to the kept mass.
    const auto counts = count_draws({.temperature = 1.0f, .top_p = 0.79f}, logits, 100'000);
    CHECK(chi_square(counts, {0, 0.25 / 0.8, 0, 0.40 / 0.8, 0, 0.15 / 0.8}, 100'000) < 13.8);  // 2 degrees of freedom, 0.1 %
}

TEST_CASE("sampler: top-p sees the tempered distribution, and what top-k left") {
    const auto logits = logits_of(kSix);
    // At temperature 0.5 probabilities are squared: id 3 alone has 0.16 / 0.2602 = 0.615.
    CHECK(reachable({.temperature = 0.5f, .top_p = 0.6f}, logits) == std::set<int>{3});
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.6f}, logits) == std::set<int>{1, 3});
    // Of the two that top-k leaves, id 3 has 0.40 / 0.65 = 0.615.
    CHECK(reachable({.temperature = 1.0f, .top_k = 2, .top_p = 0.6f}, logits) == std::set<int>{3});
}

TEST_CASE("sampler: top-p over a large vocabulary equals a full sort") {
    constexpr int kVocabulary = 50'000;
    std::vector<float> logits(kVocabulary);
    uint32_t state = 1;
    for (float& x : logits) {
        state = state * 1664525u + 1013904223u;
        x = static_cast<float>(state >> 8) * 0x1p-24f * 12.0f;
    }
    std::vector<double> sorted(logits.begin(), logits.end());
    double total = 0;
    for (double& x : sorted) total += (x = std::exp(x));
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    size_t n_kept = 0;
    for (double mass = 0; mass < 0.3 * total; ++n_kept) mass += sorted[n_kept];
    const double smallest = sorted[n_kept - 1];

    Sampler sampler({.temperature = 1.0f, .top_p = 0.3f, .seed = 5});
    std::set<int32_t> seen;
    for (size_t i = 0; i < 1'000; ++i) {
        const int32_t id = sampler.sample(logits, {}, i);
        REQUIRE(std::exp(static_cast<double>(logits[static_cast<size_t>(id)])) >= smallest * (1 - 1e-6));
        seen.insert(id);
    }
    CHECK(seen.size() > 500);
    CHECK(n_kept > 500);
}

TEST_CASE("sampler: min-p drops what is too unlikely beside the best") {
    const auto logits = logits_of(kSix);
    CHECK(reachable({.temperature = 1.0f, .min_p = 0.3f}, logits) == std::set<int>{1, 3, 5});
    CHECK(reachable({.temperature = 1.0f, .min_p = 0.2f}, logits) == std::set<int>{0, 1, 3, 5});
    CHECK(reachable({.temperature = 1.0f, .min_p = 1.0f}, logits) == std::set<int>{3});
    CHECK(reachable({.temperature = 1.0f, .min_p = 9.0f}, logits) == std::set<int>{3});
    CHECK(reachable({.temperature = 1.0f, .top_p = 0.6f, .min_p = 0.3f}, logits) == std::set<int>{1, 3});
}

TEST_CASE("sampler: repetition penalty acts once on each of the last 64 tokens") {
    Sampler sampler({.repetition_penalty = 2.0f});
    // 3 / 2 = 1.5 once; a second division would give 0.75 and let id 1 win.
    CHECK(sampler.sample(std::vector<float>{3.0f, 1.4f}, std::vector<int32_t>{0, 0, 0}, 0) == 0);
    CHECK(sampler.sample(std::vector<float>{3.0f, 1.6f}, std::vector<int32_t>{0}, 0) == 1);
    CHECK(sampler.sample(std::vector<float>{-1.0f, -1.5f}, std::vector<int32_t>{0}, 0) == 1);
    std::vector<int32_t> recent(65, 2);
    recent[0] = 0;  // the 65th from the end
    CHECK(sampler.sample(std::vector<float>{3.0f, 1.6f, 0.0f}, recent, 0) == 0);
    recent[1] = 0;
    CHECK(sampler.sample(std::vector<float>{3.0f, 1.6f, 0.0f}, recent, 0) == 1);
    CHECK(sampler.sample(std::vector<float>{3.0f, 1.6f}, std::vector<int32_t>{-1, 2, 1 << 30}, 0) == 0);
    CHECK(Sampler({.repetition_penalty = 1e-38f}).sample(std::vector<float>{1e30f, 1.0f}, std::vector<int32_t>{0}, 0) == 0);
}

TEST_CASE("sampler: presence penalty acts on generated tokens only") {
    Sampler sampler({.presence_penalty = 1.0f});
    const std::vector<int32_t> recent = {0, 1, 1, 1};
    CHECK(sampler.sample(std::vector<float>{2.0f, 2.5f}, recent, 3) == 0);
    CHECK(sampler.sample(std::vector<float>{2.0f, 3.5f}, recent, 3) == 1);
    CHECK(sampler.sample(std::vector<float>{2.0f, 1.5f}, recent, 3) == 0);
    CHECK(sampler.sample(std::vector<float>{2.0f, 1.5f}, recent, 4) == 0);
    CHECK(sampler.sample(std::vector<float>{2.0f, 1.5f, 1.2f}, recent, 99) == 2);
}

TEST_CASE("sampler: a seed fixes every draw, whatever was drawn before") {
    std::vector<float> logits;
    for (int i = 0; i < 1000; ++i) logits.push_back(static_cast<float>(i % 37) * 0.1f);
    const SamplerParams params = {.temperature = 0.8f, .top_k = 500, .top_p = 0.9f, .seed = 1234};
    Sampler a(params), b(params);
    std::vector<int32_t> forward;
    for (size_t i = 0; i < 50; ++i) forward.push_back(a.sample(logits, {}, i));
    for (size_t i = 50; i-- > 0;) CHECK(b.sample(logits, {}, i) == forward[i]);
    SamplerParams other = params;
    other.seed = 1235;
    Sampler c(other);
    int n_same = 0;
    for (size_t i = 0; i < 50; ++i) n_same += c.sample(logits, {}, i) == forward[i];
    CHECK(n_same < 10);
}

TEST_CASE("sampler: recorded draws, which are the same on every platform") {
    std::vector<float> logits;
    for (int i = 0; i < 256; ++i) logits.push_back(static_cast<float>((i * 73) % 256) * 0.0625f);
    Sampler sampler({.temperature = 0.6f, .top_p = 0.95f, .seed = 2025});
    std::vector<int32_t> ids;
    for (size_t i = 0; i < 8; ++i) ids.push_back(sampler.sample(logits, {}, i));
    CHECK(ids == std::vector<int32_t>{77, 84, 28, 77, 49, 14, 105, 49});
}

namespace {

// What a device that has room for `capacity` tokens gives: all that lie nearer to the largest logit than a distance that is a multiple of
// reach / n_bins, in no order.
struct Likeliest {
    std::vector<ponder_candidate> candidates;
    int32_t n_rest = 0;
    float cut = 0.0f;
};
Likeliest select(const std::vector<float>& logits, float reach, size_t capacity, std::mt19937& random) {
    constexpr int kBins = 64;
    float largest = -kInfinity;
    for (const float x : logits) largest = std::max(largest, x);
    std::vector<std::vector<ponder_candidate>> bins(kBins);
    for (size_t i = 0; i < logits.size(); i++) {
        const float distance = largest - logits[i];
        if (!(distance <= reach)) continue;
        const int bin = reach > 0 ? std::min(static_cast<int>(distance / reach * kBins), kBins - 1) : 0;
        bins[static_cast<size_t>(bin)].push_back({static_cast<int32_t>(i), logits[i]});
    }
    Likeliest result;
    size_t b = 0;
    for (; b < bins.size() && result.candidates.size() + bins[b].size() <= capacity; b++)
        result.candidates.insert(result.candidates.end(), bins[b].begin(), bins[b].end());
    result.cut = reach * static_cast<float>(b) / kBins * (1.0f - 1e-6f);
    for (; b < bins.size(); b++) result.n_rest += static_cast<int32_t>(bins[b].size());
    std::shuffle(result.candidates.begin(), result.candidates.end(), random);
    return result;
}

}  // namespace

TEST_CASE("sampler: the likeliest tokens alone give what all logits give, or nothing") {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    const SamplerParams settings[] = {
        {.temperature = 0.0f},
        {.temperature = 0.6f, .top_p = 0.95f},
        {.temperature = 0.6f, .top_k = 20, .top_p = 0.95f},
        {.temperature = 1.0f, .top_k = 300},
        {.temperature = 1.0f, .top_p = 0.5f, .min_p = 0.05f},
        {.temperature = 0.8f, .min_p = 0.01f},
        {.temperature = 1.5f, .top_p = 0.999f},
        {.temperature = 0.6f, .top_p = 0.0f},
    };
    int n_from_some = 0;
    for (const SamplerParams& params : settings) {
        int n_decided = 0, n = 0;
        for (const size_t capacity : {size_t{1}, size_t{30}, size_t{400}, size_t{5000}}) {
            for (int round = 0; round < 60; round++, n++) {
                // Peaked and flat ones; equal logits too.
                std::vector<float> logits(3000);
                const float spread = 0.5f + 0.1f * static_cast<float>(round);
                for (float& x : logits) x = std::round(normal(random) * spread * 16.0f) / 16.0f;
                SamplerParams seeded = params;
                seeded.seed = static_cast<uint64_t>(round);
                Sampler sampler(seeded);
                REQUIRE(sampler.reach());
                const Likeliest likeliest = select(logits, *sampler.reach(), capacity, random);
                const auto chosen = sampler.sample_likeliest(likeliest.candidates, likeliest.n_rest, likeliest.cut, 3);
                if (!chosen) continue;
                n_decided++;
                n_from_some += likeliest.n_rest > 0;
                CHECK(*chosen == sampler.sample(logits, {}, 3));
            }
        }
        CAPTURE(params.temperature);
        CAPTURE(params.top_p);
        CHECK(n_decided >= n / 4);  // with room for all tokens it always decides
    }
    CHECK(n_from_some > 300);
}

TEST_CASE("sampler: what the likeliest tokens cannot decide") {
    CHECK_FALSE(Sampler({.temperature = 1.0f}).reach());
    CHECK_FALSE(Sampler({.temperature = 0.6f, .top_p = 0.95f, .presence_penalty = 0.1f}).reach());
    CHECK_FALSE(Sampler({.temperature = 0.0f, .repetition_penalty = 1.1f}).reach());
    CHECK_FALSE(Sampler({.temperature = 3e38f, .top_k = 3}).reach());
    CHECK(Sampler({}).reach() == 0.0f);

    Sampler greedy({});
    const ponder_candidate two[] = {{9, 1.0f}, {4, 1.0f}};
    CHECK(greedy.sample_likeliest(two, 0, 0.0f, 0) == 4);
    CHECK_FALSE(greedy.sample_likeliest(two, 1, 0.0f, 0));
    CHECK(greedy.sample_likeliest({}, 0, 0.0f, 0) == Sampler::kNoToken);
    CHECK_FALSE(greedy.sample_likeliest({}, 5, 0.0f, 0));
    // Half of the mass at least is here, but nine tenths may not be.
    Sampler nucleus({.temperature = 1.0f, .top_p = 0.9f});
    CHECK_FALSE(nucleus.sample_likeliest(two, 1, 0.5f, 0));
    CHECK(nucleus.sample_likeliest(two, 1, 20.0f, 0));
}
