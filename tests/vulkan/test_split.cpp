// SPDX-License-Identifier: Apache-2.0
// Models split between a GPU and the CPU give the tokens that one device gives.
#include <doctest/doctest.h>

#include <string>

#include "mock_loader.hpp"
#include "model/architecture.hpp"
#include "placement_fixture.hpp"
#include "runtime/memory_needs.hpp"
#include "runtime/model_source.hpp"
#include "runtime/plan.hpp"
#include "runtime/synth.hpp"
#include "temp_file.hpp"
#include "test_data.hpp"
#include "vulkan/vk_buffer.hpp"

using namespace ponder;
using namespace ponder_test;

namespace {

const char* const kReasoner = PONDER_SOURCE_DIR "/examples/tiny-reasoner/tiny-reasoner.gguf";

bool has_device() {
    if (choose_device({.backend = "vulkan"})) return true;
    n_skipped++;
    MESSAGE("skipped: no Vulkan device");
    return false;
}

std::vector<int32_t> prompt_for(const Model& model, size_t n) {
    return make_prompt(n, static_cast<int32_t>(model.hyper_parameters().n_vocab));
}

// Largest difference between logits, of the largest logit.
double distance(const Answer& a, const Answer& b) {
    REQUIRE(a.logits.size() == b.logits.size());
    double difference = 0.0, largest = 0.0;
    for (size_t i = 0; i < a.logits.size(); i++) {
        difference = std::max(difference, std::fabs(double{a.logits[i]} - double{b.logits[i]}));
        largest = std::max(largest, std::fabs(double{b.logits[i]}));
    }
    return difference / largest;
}

}  // namespace

TEST_CASE("split: half of the layers on the GPU and half on the CPU give the same tokens") {
    if (!has_device()) return;
    const auto whole = open_whole(kReasoner, "vulkan");
    const auto n_layers = static_cast<int32_t>(whole->hyper_parameters().n_layers);
    const auto prompt = prompt_for(*whole, 60);
    const Answer expected = answer_greedily(whole, prompt, 24);
    const auto cache = whole->read_device_cache();
    REQUIRE(cache);
    const auto answer_split = [&](std::vector<DeviceShare> devices) {
        ModelOptions options = split_options(std::move(devices));
        options.device_cache = *cache;
        const auto model = Model::open(kReasoner, options);
        REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
        MESSAGE(describe_placement((*model)->placement()));
        return answer_greedily(*model, prompt, 24);
    };
    CHECK(answer_split({share_of("vulkan", n_layers / 2), share_of(host_backend())}).tokens == expected.tokens);
    CHECK(answer_split({share_of(host_backend(), n_layers / 2), share_of("vulkan", n_layers), share_of(host_backend())}).tokens ==
          expected.tokens);
    CHECK(answer_split({share_of("vulkan", 1), share_of("vulkan", 1), share_of("reference")}).tokens == expected.tokens);
    CHECK(answer_greedily(open_whole(kReasoner, "reference"), prompt, 24).tokens == expected.tokens);
}

TEST_CASE("split: all layers on the GPU and the routed experts on the CPU give the same tokens") {
    if (!has_device()) return;
    for (const char* shape : {"tiny-deepseek-v3", "tiny-deepseek-v2"}) {
        CAPTURE(shape);
        const TempFile file("m.gguf");
        REQUIRE(synthesize(shape, file.path(), {.n_layers = 4, .type = "Q8_0", .seed = 3}));
        const auto whole = open_whole(file.path(), "vulkan/float32");
        const auto prompt = prompt_for(*whole, 60);
        const auto split = open_split(file.path(), {share_of("vulkan/float32", 4), share_of("reference")}, ExpertPlacement::kOnHost);
        CHECK(describe_placement(split->placement()) == "vulkan 4, reference 0 + experts");
        // The GPU's budget without experts, and some more.
        const auto bytes_with = [&](ExpertPlacement experts) {
            const auto plan = make_plan(file.path(), split_options({share_of("vulkan/float32"), share_of("reference")}, experts), {});
            REQUIRE(plan);
            return plan->shares[0].total_bytes();
        };
        const uint64_t least = bytes_with(ExpertPlacement::kOnHost), most = bytes_with(ExpertPlacement::kWithLayer);
        const auto some =
            open_split(file.path(), {share_of("vulkan/float32", 0, (least + most) / 2), share_of("reference", DeviceShare::kNoLayers)},
                       ExpertPlacement::kByMemory);
        CHECK(describe_placement(some->placement()) == "vulkan 4, reference 0 + experts");
        CHECK(some->placement().devices()[0].n_with_experts > 0);
        const auto half = open_split(file.path(), {share_of("reference", 2), share_of("vulkan/float32", 2), share_of("reference")});
        CHECK(describe_placement(half->placement()) == "reference 2, vulkan 2");
        const Answer expected = answer_greedily(whole, prompt, 12, PONDER_TYPE_F16);
        for (const auto& model : {split, some, half}) {
            const Answer answer = answer_greedily(model, prompt, 12, PONDER_TYPE_F16);
            CHECK(answer.tokens == expected.tokens);
            CHECK(distance(answer, expected) <= 1e-4);
        }
    }
}

TEST_CASE("split: experts that are streamed to the CPU, all else on the GPU") {
    if (!has_device()) return;
    const TempFile file("m.gguf");
    REQUIRE(synthesize("tiny-deepseek-v3", file.path(), {.n_layers = 7, .n_experts = 256, .type = "F32"}));
    const auto whole = open_whole(file.path(), "reference");
    const auto split =
        open_split(file.path(), {share_of("vulkan/float32", 7), share_of("reference")}, ExpertPlacement::kOnHost, uint64_t{112} << 20);
    REQUIRE(split->is_streaming());
    CHECK(describe_placement(split->placement()) == "vulkan 7, reference 0 + experts");
    const auto prompt = prompt_for(*whole, 20);
    CHECK(answer_greedily(split, prompt, 6).tokens == answer_greedily(whole, prompt, 6).tokens);
    CHECK(split->streaming_info().n_demanded > 0);
}

TEST_CASE("split: the validation layer has nothing to say about split models") {
    if (!has_device()) return;
    const TempFile file("m.gguf");
    REQUIRE(synthesize("tiny-deepseek-v3", file.path(), {.type = "Q8_0", .seed = 3}));
    auto opened =
        Model::open(file.path(), split_options({share_of("vulkan/validated", 2), share_of(host_backend())}, ExpertPlacement::kOnHost));
    if (!opened && opened.error().status == PONDER_STATUS_NOT_FOUND) {
        n_skipped++;
        MESSAGE("skipped: " << opened.error().message);
        return;
    }
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message));
    answer_greedily(*opened, prompt_for(**opened, 40), 3);
    CHECK(vk::own((*opened)->device().handle())->n_validation_messages() == 0);
}

TEST_CASE("split: a device that is lost, or full, in the middle is a status") {
    if (!has_device()) return;
    const MockLoader mock;
    MockLoader::probe_again();
    const auto split = open_split(kReasoner, {share_of("vulkan", 1), share_of(host_backend())});
    const auto prompt = prompt_for(*split, 40);
    const Answer before = answer_greedily(split, prompt, 4);
    auto session = Session::create(split, {});
    REQUIRE(session);
    faults().submits_until_loss = 0;
    const auto lost = (*session)->evaluate(prompt, nullptr, 0, {});
    faults().submits_until_loss = -1;
    REQUIRE_FALSE(lost);
    CHECK(lost.error().status == PONDER_STATUS_DEVICE_LOST);
    CHECK((*session)->n_tokens() == 0);
    faults().bytes_until_full = 0;
    const auto full = Model::open(kReasoner, split_options({share_of("vulkan", 1), share_of(host_backend())}));
    faults().bytes_until_full = -1;
    REQUIRE_FALSE(full);
    CHECK(full.error().status == PONDER_STATUS_OUT_OF_MEMORY);
}

TEST_CASE("split: a device that computes wrongly gives way to the CPU unless it was asked for by name") {
    if (!has_device()) return;
    const MockLoader mock;
    MockLoader::probe_again();
    faults().computes_nothing = true;
    const auto named = Model::open(kReasoner, split_options({share_of("vulkan", 1), share_of(host_backend())}));
    setenv("PONDER_FORCE_BACKEND", "vulkan", 1);
    const auto automatic = Model::open(kReasoner, split_options({share_of("auto", 1)}));
    unsetenv("PONDER_FORCE_BACKEND");
    faults().computes_nothing = false;
    REQUIRE_FALSE(named);
    CHECK(named.error().message.find("self-test of ") != std::string::npos);
    REQUIRE_MESSAGE(automatic, (automatic ? "" : automatic.error().message));
    CHECK((*automatic)->placement().devices().size() == 1);
    CHECK(std::string((*automatic)->info().backend) != "vulkan");
}

TEST_CASE("split: a GPU's budget holds whole layers, by default as many as it has memory for") {
    if (!has_device()) return;
    const auto plan_with = [](uint64_t memory) {
        const auto plan = make_plan(kReasoner, split_options({share_of("vulkan", 0, memory)}), {});
        REQUIRE(plan);
        return *plan;
    };
    const Plan all = plan_with(0);
    REQUIRE(all.shares.size() == 1);
    CHECK(std::string(all.shares[0].device.backend->name) == "vulkan");
    CHECK(all.shares[0].memory_bytes > 0);
    CHECK(all.shares[0].memory_bytes <= choose_device({.backend = "vulkan"})->free_bytes());
    const Plan half = plan_with(all.shares[0].total_bytes() * 2 / 3);
    REQUIRE(half.shares.size() == 2);
    CHECK(half.shares[0].total_bytes() <= all.shares[0].total_bytes() * 2 / 3);
    CHECK(half.shares[0].n_layers > 0);
    const auto split = open_split(kReasoner, {share_of("vulkan", half.shares[0].n_layers), share_of(host_backend())});
    const auto file = read_model_file(kReasoner);
    REQUIRE(file);
    auto graph = build_graph(*file, {.kv_type = split->kv_type()});
    REQUIRE(graph);
    const auto placed = PlacedProgram::create(std::move(graph->program), split->placement());
    REQUIRE(placed);
    CHECK(bytes_outside_host(*placed, split->placement(), half.context) == half.shares[0].total_bytes());
    CHECK(half.shares[1].n_layers > 0);
    CHECK(std::string(half.shares[1].device.backend->name) == host_backend());
}
