// SPDX-License-Identifier: Apache-2.0
// Models whose layers or experts are shared among devices compute what they compute on one. Backends in host memory stand for the devices.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "placement_fixture.hpp"
#include "runtime/plan.hpp"
#include "runtime/synth.hpp"
#include "temp_file.hpp"

using namespace ponder;
using namespace ponder_test;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
const char* const kReasoner = PONDER_SOURCE_DIR "/examples/tiny-reasoner/tiny-reasoner.gguf";

struct TinyModel {
    explicit TinyModel(const char* shape, int32_t n_layers = 4) : file("m.gguf") {
        const auto made = synthesize(shape, file.path(), {.n_layers = n_layers, .type = "Q8_0", .seed = 3});
        REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
    }
    const std::string& path() const { return file.path(); }
    ponder_test::TempFile file;
};

int32_t n_vocab_of(const Model& model) { return static_cast<int32_t>(model.hyper_parameters().n_vocab); }

}  // namespace

TEST_CASE("placement: layers split between two devices give every logit of one device, bit for bit") {
    for (const char* shape : {"tiny-llama", "tiny-qwen2", "tiny-qwen3", "tiny-deepseek-v3"}) {
        CAPTURE(shape);
        const TinyModel tiny(shape);
        const auto whole = open_whole(tiny.path(), "reference");
        const auto prompt = make_prompt(150, n_vocab_of(*whole));
        for (const int32_t kv_type : {PONDER_TYPE_F32, PONDER_TYPE_F16}) {
            const Answer expected = answer_greedily(whole, prompt, 6, kv_type);
            for (const int32_t n_first : {1, 2, 3}) {
                const auto split = open_split(tiny.path(), {share_of("reference", n_first), share_of("reference")});
                CHECK(describe_placement(split->placement()) ==
                      "reference " + std::to_string(n_first) + ", reference " + std::to_string(4 - n_first));
                CHECK(answer_greedily(split, prompt, 6, kv_type).logits == expected.logits);
            }
        }
    }
}

TEST_CASE("placement: a chain of three devices") {
    const TinyModel tiny("tiny-qwen3", 5);
    const auto whole = open_whole(tiny.path(), "reference");
    const auto prompt = make_prompt(40, n_vocab_of(*whole));
    const auto split = open_split(tiny.path(), {share_of("reference", 2), share_of("reference", 1), share_of("reference")});
    CHECK(describe_placement(split->placement()) == "reference 2, reference 1, reference 2");
    CHECK(answer_greedily(split, prompt, 4).logits == answer_greedily(whole, prompt, 4).logits);
}

TEST_CASE("placement: routed experts on another device than their layers, bit for bit") {
    for (const char* shape : {"tiny-deepseek-v3", "tiny-deepseek-v2"}) {
        CAPTURE(shape);
        const TinyModel tiny(shape);
        const auto whole = open_whole(tiny.path(), "reference");
        const auto prompt = make_prompt(150, n_vocab_of(*whole));
        const Answer expected = answer_greedily(whole, prompt, 6);
        const auto split =
            open_split(tiny.path(), {share_of("reference", 4), share_of("reference", DeviceShare::kNoLayers)}, ExpertPlacement::kOnHost);
        CHECK(describe_placement(split->placement()) == "reference 4, reference 0 + experts");
        CHECK(answer_greedily(split, prompt, 6).logits == expected.logits);
        const auto both = open_split(tiny.path(), {share_of("reference", 2), share_of("reference")}, ExpertPlacement::kOnHost);
        CHECK(describe_placement(both->placement()) == "reference 2, reference 2 + experts");
        CHECK(answer_greedily(both, prompt, 6).logits == expected.logits);
    }
}

TEST_CASE("placement: two backends together give the tokens of one") {
    const auto whole = open_whole(kReasoner, "reference");
    const auto n_layers = static_cast<int32_t>(whole->hyper_parameters().n_layers);
    const auto prompt = make_prompt(60, n_vocab_of(*whole));
    const Answer expected = answer_greedily(whole, prompt, 24);
    for (const auto& [first, second] : {std::pair("reference", "cpu"), std::pair("cpu", "reference"), std::pair("cpu/generic", "cpu")}) {
        CAPTURE(first);
        CAPTURE(second);
        if (host_backend() == "reference") continue;
        const auto split = open_split(kReasoner, {share_of(first, n_layers / 2), share_of(second)});
        CHECK(answer_greedily(split, prompt, 24).tokens == expected.tokens);
    }
}

TEST_CASE("placement: sessions on split models fork, rewind and share batches") {
    const TinyModel tiny("tiny-deepseek-v3");
    // Logits of everything that two sessions and a fork do.
    const auto use = [](const std::shared_ptr<Model>& model) {
        const auto n_vocab = static_cast<size_t>(n_vocab_of(*model));
        const auto prompt = make_prompt(70, n_vocab_of(*model));
        const auto rest = std::span(prompt).subspan(33);
        std::vector<float> all(6 * n_vocab);
        float* next = all.data();
        const auto evaluate = [&](Session& session, std::span<const int32_t> tokens) {
            REQUIRE(session.evaluate(tokens, next, 1, {}));
            next += n_vocab;
        };
        auto a = Session::create(model, {}), b = Session::create(model, {});
        REQUIRE((a && b));
        evaluate(**a, prompt);
        REQUIRE((*a)->rewind(33));
        auto fork = (*a)->fork();
        REQUIRE(fork);
        evaluate(**a, rest);
        evaluate(**fork, rest.first(10));
        evaluate(**fork, rest.subspan(10));
        const Session::BatchItem items[] = {{a->get(), prompt, next, 1}, {b->get(), rest, next + n_vocab, 1}};
        REQUIRE(Session::evaluate_batch(items, {}));
        return all;
    };
    const auto split = open_split(tiny.path(), {share_of("reference", 2), share_of("reference")}, ExpertPlacement::kOnHost);
    CHECK(use(split) == use(open_whole(tiny.path(), "reference")));
}

TEST_CASE("placement: work on a split model is cancelled between devices, and can be done again") {
    const TinyModel tiny("tiny-llama");
    const auto split = open_split(tiny.path(), {share_of("reference", 2), share_of(host_backend())});
    const auto prompt = make_prompt(50, n_vocab_of(*split));
    const Answer expected = answer_greedily(split, prompt, 3);
    auto session = Session::create(split, {});
    REQUIRE(session);
    int n_calls = 0;
    const ProgressCallback stop{[](void* calls, int32_t, double) -> int32_t { return ++*static_cast<int*>(calls) > 0; }, &n_calls};
    const auto cancelled = (*session)->evaluate(prompt, nullptr, 0, stop);
    REQUIRE_FALSE(cancelled);
    CHECK(cancelled.error().status == PONDER_STATUS_CANCELLED);
    CHECK((*session)->n_tokens() == 0);
    CHECK(answer_greedily(split, prompt, 3).logits == expected.logits);
}

TEST_CASE("placement: streamed experts on another device than their layers") {
    const ponder_test::TempFile file("m.gguf");
    REQUIRE(synthesize("tiny-deepseek-v3", file.path(), {.n_layers = 7, .n_experts = 256, .type = "F32"}));
    const auto whole = open_whole(file.path(), host_backend());
    const auto split = open_split(file.path(), {share_of("reference"), share_of(host_backend(), DeviceShare::kNoLayers)},
                                  ExpertPlacement::kOnHost, 96 * kMiB);
    REQUIRE(split->is_streaming());
    const auto prompt = make_prompt(20, n_vocab_of(*whole));
    CHECK(answer_greedily(split, prompt, 4).tokens == answer_greedily(whole, prompt, 4).tokens);
    CHECK(split->streaming_info().n_demanded > 0);
}

TEST_CASE("placement: a budget takes as many layers as it holds, and plan and open agree") {
    const TinyModel tiny("tiny-llama", 8);
    const auto plan_with = [&](uint64_t memory) {
        const auto plan = make_plan(tiny.path(), split_options({share_of("reference", 0, memory), share_of(host_backend())}), {});
        REQUIRE_MESSAGE(plan, (plan ? "" : plan.error().message));
        return *plan;
    };
    const Plan all = plan_with(uint64_t{1} << 40);
    REQUIRE(all.shares.size() == 1);
    CHECK(all.shares[0].n_layers == 8);
    const uint64_t whole = all.shares[0].total_bytes();
    int32_t n_before = 0;
    for (int part = 1; part <= 10; part++) {
        const uint64_t memory = whole * static_cast<uint64_t>(part) / 10;
        const Plan plan = plan_with(memory);
        const PlanShare& first = plan.shares.front();
        const bool has_first = first.memory_bytes == memory;
        const int32_t n = has_first ? first.n_layers : 0;
        CHECK(n >= n_before);
        if (n > 0) CHECK(first.total_bytes() <= memory);
        n_before = n;
        uint64_t weights = 0, kv = 0;
        int32_t n_layers = 0;
        for (const PlanShare& share : plan.shares) {
            CHECK(share.first_layer == n_layers);
            n_layers += share.n_layers;
            weights += share.weight_bytes;
            kv += share.kv_bytes;
        }
        CHECK(n_layers == 8);
        CHECK(weights == plan.weight_bytes);
        CHECK(kv == plan.kv_bytes);
        const auto model = open_split(tiny.path(), {share_of("reference", 0, memory), share_of(host_backend())});
        REQUIRE(model->placement().devices().size() == plan.shares.size());
        CHECK(model->placement().devices().front().n_layers == first.n_layers);
    }
    CHECK(n_before == 8);
    // Whole layers, and the one that does not fit would not have.
    const Plan half = plan_with(whole / 2);
    REQUIRE(half.shares.size() == 2);
    CHECK(half.shares[0].n_layers > 1);
    CHECK(half.shares[0].n_layers < 8);
    CHECK(plan_with(half.shares[0].total_bytes()).shares[0].n_layers == half.shares[0].n_layers);
    CHECK(plan_with(half.shares[0].total_bytes() - 1).shares[0].n_layers < half.shares[0].n_layers);
}

TEST_CASE("placement: experts stay with their layers as far as the budget holds, bit for bit") {
    const TinyModel tiny("tiny-deepseek-v3", 6);  // the first layer has no experts
    const auto whole = open_whole(tiny.path(), "reference");
    const auto prompt = make_prompt(60, n_vocab_of(*whole));
    const Answer expected = answer_greedily(whole, prompt, 4);
    const auto options_with = [](uint64_t memory, ExpertPlacement experts) {
        return split_options({share_of("reference", 0, memory), share_of("reference", DeviceShare::kNoLayers)}, experts);
    };
    const auto plan_with = [&](uint64_t memory, ExpertPlacement experts) {
        const auto plan = make_plan(tiny.path(), options_with(memory, experts), {});
        REQUIRE_MESSAGE(plan, (plan ? "" : plan.error().message));
        return *plan;
    };
    constexpr uint64_t kAmple = uint64_t{1} << 40;
    const Plan without = plan_with(kAmple, ExpertPlacement::kOnHost), all = plan_with(kAmple, ExpertPlacement::kByMemory);
    REQUIRE(without.shares.size() == 2);
    CHECK(without.shares[0].n_expert_layers == 0);
    REQUIRE(all.shares.size() == 1);
    CHECK(all.shares[0].n_expert_layers == 5);
    const uint64_t least = without.shares[0].total_bytes(), most = all.shares[0].total_bytes();
    int32_t n_before = 0;
    bool has_some = false;
    for (uint64_t part = 0; part <= 8; part++) {
        const uint64_t memory = least + (most - least) * part / 8;
        const Plan plan = plan_with(memory, ExpertPlacement::kByMemory);
        const PlanShare& first = plan.shares.front();
        CHECK(first.n_layers == 6);  // layers come before experts
        CHECK(first.total_bytes() <= memory);
        CHECK(first.n_expert_layers >= n_before);
        n_before = first.n_expert_layers;
        has_some = has_some || (n_before > 0 && n_before < 5);
        if (part % 3 != 1) continue;
        const auto model = Model::open(tiny.path(), options_with(memory, ExpertPlacement::kByMemory));
        REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
        CHECK(answer_greedily(*model, prompt, 4).logits == expected.logits);
    }
    CHECK(has_some);
    CHECK(n_before == 5);
    // Less than the layers need without experts: none have theirs.
    const Plan little = plan_with(least / 2, ExpertPlacement::kByMemory);
    CHECK(little.shares[0].n_layers < 6);
}

TEST_CASE("placement: a plan of a split model holds when it is opened and filled under its total") {
    const TinyModel tiny("tiny-deepseek-v3");
    for (const ExpertPlacement experts : {ExpertPlacement::kWithLayer, ExpertPlacement::kOnHost}) {
        ModelOptions options = split_options({share_of("reference", 2), share_of(host_backend())}, experts);
        const SessionOptions session{.context = 300, .kv_type = PONDER_TYPE_F16};
        const auto plan = make_plan(tiny.path(), options, session);
        REQUIRE(plan);
        CHECK(plan->shares.size() == 2);
        int32_t n_expert_layers = 0;
        for (const PlanShare& share : plan->shares) n_expert_layers += share.n_expert_layers;
        CHECK(n_expert_layers == 3);
        CHECK(plan->shares[1].n_expert_layers == (experts == ExpertPlacement::kOnHost ? 3 : 2));
        const auto fill = [&](uint64_t cap) -> Result<void> {
            options.memory_cap = cap;
            const auto model = Model::open(tiny.path(), options);
            if (!model) return model.error();
            const auto made = Session::create(*model, session);
            if (!made) return made.error();
            return (*made)->evaluate(std::vector<int32_t>(300, 7), nullptr, 0, {});
        };
        const auto filled = fill(plan->total_bytes());
        CHECK_MESSAGE(filled, (filled ? "" : filled.error().message));
    }
}

TEST_CASE("placement: unknown devices and lists without a host device") {
    const TinyModel tiny("tiny-llama");
    const auto unknown = Model::open(tiny.path(), split_options({share_of("nothing", 2)}));
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().status == PONDER_STATUS_NOT_FOUND);
    // More layers than there are, and none at all.
    CHECK(describe_placement(open_split(tiny.path(), {share_of("reference", 99), share_of(host_backend())})->placement()) == "reference 4");
    const auto none = open_split(tiny.path(), {share_of("reference", DeviceShare::kNoLayers), share_of(host_backend())});
    CHECK(describe_placement(none->placement()) == host_backend() + " 4");
    // A model without experts has none to move.
    CHECK(describe_placement(
              open_split(tiny.path(), {share_of("reference"), share_of(host_backend())}, ExpertPlacement::kOnHost)->placement()) ==
          "reference 4");
}
