// SPDX-License-Identifier: Apache-2.0
// The likeliest tokens that a device finds beside the logits that it gives when nobody asks for them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "device/device.hpp"
#include "op/program.hpp"
#include "runtime/model.hpp"
#include "test_data.hpp"
#include "vulkan/vk_buffer.hpp"

using namespace ponder;

namespace {

constexpr int64_t kWidth = 8, kVocabulary = 9001;
constexpr int32_t kRows = 20;  // more than come to the host at a time
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Logits that are a random map of a token's row, with some that are no numbers.
struct Problem {
    std::vector<float> table, map, bias;
    Program program;
};

Result<Problem> make_problem(bool is_odd) {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    std::vector<float> table(kWidth * kRows), map(kWidth * kVocabulary), bias(kVocabulary, 0.0f);
    for (float& v : table) v = normal(random);
    for (float& v : map) v = std::round(normal(random) * 8.0f) / 8.0f;  // equal ones too
    if (is_odd) {
        std::fill(bias.begin(), bias.begin() + 5000, -kInfinity);
        bias[6000] = bias[0] = NAN;
        bias[kVocabulary - 1] = kInfinity;
    }
    ProgramBuilder builder;
    const int64_t table_dims[] = {kWidth, kRows}, map_dims[] = {kWidth, kVocabulary};
    const OperandId rows = builder.embed(builder.add_weight("table", PONDER_TYPE_F32, table_dims, std::as_bytes(std::span(table))));
    builder.logits(builder.gather_rows(rows), builder.add_weight("map", PONDER_TYPE_F32, map_dims, std::as_bytes(std::span(map))),
                   builder.add_constant("bias", bias));
    auto program = std::move(builder).finish();
    if (!program) return program.error();
    return Problem{std::move(table), std::move(map), std::move(bias), std::move(*program)};
}

struct Offer {
    bool is_enough = true;
    int n_calls = 0;
    std::vector<ponder_candidate> candidates;
    int32_t n_rest = -1;
    float cut = -1.0f;

    static int32_t take(void* user_data, const ponder_candidate* candidates, int32_t n, int32_t n_rest, float cut) {
        Offer& offer = *static_cast<Offer*>(user_data);
        offer.n_calls++;
        offer.candidates.assign(candidates, candidates + n);
        offer.n_rest = n_rest;
        offer.cut = cut;
        return offer.is_enough;
    }
};

// What ponder_selection promises of one row.
void check_offer(const Offer& offer, std::span<const float> logits, float reach) {
    const auto count = [](float x) { return x == kInfinity ? std::numeric_limits<float>::max() : x; };
    float largest = -kInfinity;
    for (const float x : logits) largest = x > largest ? count(x) : largest;
    std::set<int32_t> given;
    for (const ponder_candidate& c : offer.candidates) {
        CHECK(given.insert(c.token).second);
        CHECK(c.logit == count(logits[static_cast<size_t>(c.token)]));
    }
    int32_t n_rest = 0;
    for (size_t i = 0; i < logits.size(); i++) {
        const float distance = largest - count(logits[i]);
        if (!(distance <= reach) || largest == -kInfinity || given.contains(static_cast<int32_t>(i))) continue;
        n_rest++;
        CHECK(double{largest} - double{logits[i]} >= double{offer.cut});
    }
    CHECK(offer.n_rest == n_rest);
    CHECK(offer.cut <= reach);
}

void check_device(const char* backend, bool is_odd) {
    const auto slot = choose_device({.backend = backend});
    const auto device = slot ? Device::open(*slot, 1) : slot.error();
    if (!device) {
        ponder_test::n_skipped++;
        MESSAGE("skipped: " << device.error().message);
        return;
    }
    auto problem = make_problem(is_odd);
    REQUIRE(problem);
    std::vector<Buffer> buffers;
    for (ponder_operand& operand : problem->program.operands()) {
        if (operand.role != PONDER_OPERAND_WEIGHT) continue;
        auto buffer = (*device)->place(operand.host_data, operand.n_bytes);
        REQUIRE(buffer);
        buffers.push_back(std::move(*buffer));
        operand.buffer = buffers.back().get();
    }
    const auto plan = (*device)->prepare(problem->program.view(), kRows, kRows);
    REQUIRE(plan);
    std::vector<int32_t> rows, sequences(kRows, 0);
    for (int32_t r = 0; r < kRows; r++) rows.push_back(r);
    const int32_t page = 0;
    const ponder_kv_sequence kv{&page, 1};
    ponder_run run{.struct_size = sizeof run,
                   .tokens = rows.data(),
                   .positions = rows.data(),
                   .sequences = sequences.data(),
                   .kv = &kv,
                   .n_sequences = 1,
                   .output_rows = rows.data(),
                   .pages_per_arena = 1};
    for (const int32_t n : {1, 3, kRows}) {
        const size_t n_vocab = kVocabulary;
        std::vector<float> expected(static_cast<size_t>(n) * n_vocab), got(expected.size(), 123.0f);
        run.n_rows = run.n_outputs = n;
        run.logits = expected.data();
        run.selections = nullptr;
        REQUIRE((*plan).run(run));
        std::vector<Offer> offers(static_cast<size_t>(n));
        std::vector<ponder_selection> selections;
        const float reaches[] = {0.0f, 1.5f, 1e9f, 4.0f, 1e-3f};
        for (size_t i = 0; i < offers.size(); i++) {
            offers[i].is_enough = i % 3 != 2;
            selections.push_back({reaches[(i + static_cast<size_t>(n)) % std::size(reaches)], 0, Offer::take, &offers[i]});
        }
        run.logits = got.data();
        run.selections = selections.data();
        REQUIRE((*plan).run(run));
        for (size_t i = 0; i < offers.size(); i++) {
            CAPTURE(n);
            CAPTURE(i);
            const auto row = std::span(expected).subspan(i * n_vocab, n_vocab), written = std::span(got).subspan(i * n_vocab, n_vocab);
            CHECK(offers[i].n_calls == 1);
            check_offer(offers[i], row, selections[i].reach);
            CHECK(selections[i].is_taken == (offers[i].is_enough ? 1 : 0));
            if (offers[i].is_enough) {
                CHECK(std::all_of(written.begin(), written.end(), [](float x) { return x == 123.0f; }));
            } else {
                CHECK(std::memcmp(row.data(), written.data(), row.size_bytes()) == 0);
            }
        }
    }
    // A wish that makes no sense, and a run from before selections.
    std::vector<float> logits(kVocabulary);
    run.logits = logits.data();
    ponder_selection wrong{NAN, 0, Offer::take, nullptr};
    run.selections = &wrong;
    run.n_rows = run.n_outputs = 1;
    const auto refused = (*plan).run(run);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == PONDER_STATUS_INVALID_ARGUMENT);
    run.struct_size = offsetof(ponder_run, selections);
    CHECK((*plan).run(run));
    CHECK(wrong.is_taken == 0);
    if (const auto* opened = vk::own((*device)->handle()); std::string(backend) == "vulkan/validated")
        CHECK(opened->n_validation_messages() == 0);
}

}  // namespace

TEST_CASE("selection: the likeliest tokens are those of the logits") {
    check_device("vulkan", false);
    check_device("vulkan", true);
}

TEST_CASE("selection: the validation layer has nothing to say") { check_device("vulkan/validated", false); }
