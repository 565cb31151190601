// SPDX-License-Identifier: Apache-2.0
// What a driver may do to a host: no driver, a broken one, a lost device, a full one. Each is a status, and the next call works.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "mock_loader.hpp"
#include "runtime/generation.hpp"
#include "runtime/session.hpp"
#include "test_data.hpp"
#include "vulkan/vk_buffer.hpp"

using namespace ponder;
using ponder_test::faults;
using ponder_test::MockLoader;

namespace {

const char* const kReasoner = PONDER_SOURCE_DIR "/examples/tiny-reasoner/tiny-reasoner.gguf";

// False, and the program ends as skipped, where there is no device to test.
bool has_device() {
    if (choose_device({.backend = "vulkan"})) return true;
    ponder_test::n_skipped++;
    MESSAGE("skipped: no Vulkan device");
    return false;
}

Result<std::shared_ptr<Model>> open_model(const char* backend = "vulkan") {
    return Model::open(kReasoner, {.device = {.backend = backend}});
}

// The last token's logits of a short prompt.
Result<std::vector<float>> evaluate(const std::shared_ptr<Model>& model, int32_t kv_type = PONDER_TYPE_F32, ProgressCallback progress = {},
                                    int32_t n_tokens = 150) {
    auto session = Session::create(model, {.kv_type = kv_type});
    if (!session) return session.error();
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < n_tokens; i++) tokens.push_back(10 + i % 50);
    std::vector<float> logits(static_cast<size_t>(model->hyper_parameters().n_vocab));
    if (auto done = (*session)->evaluate(tokens, logits.data(), 1, progress); !done) return done.error();
    return logits;
}

vk::Device& device_of(const Model& model) { return *vk::own(model.device().handle()); }

}  // namespace

TEST_CASE("vulkan: the validation layer has nothing to say") {
    if (!has_device()) return;
    auto model = open_model("vulkan/validated");
    if (!model && model.error().status == PONDER_STATUS_NOT_FOUND) {
        ponder_test::n_skipped++;
        MESSAGE("skipped: " << model.error().message);
        return;
    }
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    for (const int32_t type : {PONDER_TYPE_F32, PONDER_TYPE_F16}) {
        const auto logits = evaluate(*model, type);
        REQUIRE_MESSAGE(logits, (logits ? "" : logits.error().message));
    }
    CHECK(device_of(**model).n_validation_messages() == 0);
    if (!ponder_test::has_data("golden/models/g-r1.gguf")) return;
    for (const char* name : {"g-r1.gguf", "g-v2lite.gguf", "g-qwen3.gguf"}) {
        auto other = Model::open(ponder_test::data_path(std::string("golden/models/") + name), {.device = {.backend = "vulkan/validated"}});
        REQUIRE_MESSAGE(other, (other ? "" : other.error().message));
        const bool has_blocks = std::string(name) == "g-qwen3.gguf";
        auto session = Session::create(*other, {.kv_type = has_blocks ? PONDER_TYPE_Q8_0 : PONDER_TYPE_F32});
        REQUIRE(session);
        std::vector<float> logits(static_cast<size_t>((*other)->hyper_parameters().n_vocab) * 40);
        for (const size_t n : {size_t{1}, size_t{3}, size_t{33}}) {
            const std::vector<int32_t> tokens(n, 5);
            REQUIRE((*session)->evaluate(tokens, logits.data(), n, {}));
        }
        CHECK(device_of(**other).n_validation_messages() == 0);
    }
}

TEST_CASE("vulkan: no driver and broken drivers are statuses") {
    if (!has_device()) return;
    {
        const MockLoader mock;
        faults().has_no_devices = true;
        MockLoader::probe_again();
        const auto none = open_model();
        REQUIRE_FALSE(none);
        CHECK(none.error().status == PONDER_STATUS_NOT_FOUND);
        faults().has_no_devices = false;
        faults().cannot_create_instance = true;
        MockLoader::probe_again();
        CHECK_FALSE(open_model());
        CHECK(open_model("auto"));
        faults().cannot_create_instance = false;
        MockLoader::probe_again();
        faults().cannot_open = true;
        const auto refused = open_model();
        REQUIRE_FALSE(refused);
        CHECK(refused.error().status == PONDER_STATUS_DEVICE);
        faults().cannot_open = false;
        faults().cannot_compile = true;
        const auto uncompiled = open_model();
        REQUIRE_FALSE(uncompiled);
        CHECK(uncompiled.error().status == PONDER_STATUS_DEVICE);
        MESSAGE(uncompiled.error().message);
    }
    CHECK(open_model());
}

// Run by itself, where no_libvulkan.c stands before the system's loader of libraries.
TEST_CASE("without libvulkan: a named GPU is a status, and the CPU serves" * doctest::skip()) {
    REQUIRE((vk::loader() == nullptr));
    const auto none = open_model();
    REQUIRE_FALSE(none);
    CHECK(none.error().status == PONDER_STATUS_NOT_FOUND);
    MESSAGE(none.error().message);
    const auto served = open_model("auto");
    REQUIRE_MESSAGE(served, (served ? "" : served.error().message));
    CHECK(evaluate(*served));
}

TEST_CASE("vulkan: a token is one submit of commands that were recorded once") {
    if (!has_device()) return;
    const MockLoader mock;
    MockLoader::probe_again();
    const auto model = open_model();
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    const auto session = Session::create(*model, {.context = 512});
    REQUIRE(session);
    std::vector<float> logits(static_cast<size_t>((*model)->hyper_parameters().n_vocab));
    const auto take = [&](int32_t token) { return (*session)->evaluate({&token, 1}, logits.data(), 1, {}); };
    faults().n_dispatches = 0;
    REQUIRE(take(10));
    CHECK(faults().n_dispatches > 0);
    int n_recorded = 0;  // tokens for which commands were recorded: where a longer past has another shape class
    for (int32_t i = 0; i < 200; i++) {
        faults().n_submits = faults().n_dispatches = 0;
        REQUIRE(take(10 + i % 50));
        CHECK(faults().n_submits == 1);
        n_recorded += faults().n_dispatches > 0;
    }
    MESSAGE(n_recorded << " of 200 tokens were recorded");
    CHECK(n_recorded <= 4);
}

TEST_CASE("vulkan: a lost device is a status, and another can be opened") {
    if (!has_device()) return;
    const MockLoader mock;
    MockLoader::probe_again();
    auto model = open_model();
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    const auto before = evaluate(*model);
    REQUIRE(before);
    faults().submits_until_loss = 1;
    for (int tries = 0; tries < 2; tries++) {
        const auto lost = evaluate(*model);
        REQUIRE_FALSE(lost);
        CHECK(lost.error().status == PONDER_STATUS_DEVICE_LOST);
    }
    faults().submits_until_loss = -1;
    model = open_model();
    REQUIRE(model);
    CHECK(evaluate(*model));
}

TEST_CASE("vulkan: a session of a lost device goes on on the CPU from its own tokens") {
    if (!has_device()) return;
    const auto host = open_model("reference");
    REQUIRE(host);
    for (const bool is_waiting : {false, true}) {
        const MockLoader mock;
        MockLoader::probe_again();
        const auto model = open_model();
        REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
        const auto session = Session::create(*model, {});
        REQUIRE(session);
        // Lost in the middle of an answer.
        auto generation = Generation::ask(*session, "What is 17 + 25?", {.max_tokens = 64});
        REQUIRE_MESSAGE(generation, (generation ? "" : generation.error().message));
        Event event;
        for (int i = 0; i < 5; i++) REQUIRE((*generation)->next(event));
        is_waiting ? faults().is_lost_while_waiting = true : faults().submits_until_loss = 1;
        Result<void> read;
        while (read && event.kind != PONDER_EVENT_DONE) read = (*generation)->next(event);
        REQUIRE_FALSE(read);
        CHECK(read.error().status == PONDER_STATUS_DEVICE_LOST);
        const std::vector<int32_t> tokens = (*session)->tokens();
        CHECK(tokens.size() > 5);

        const auto moved = (*session)->fork_to(*host, {});
        REQUIRE_MESSAGE(moved, (moved ? "" : moved.error().message));
        CHECK((*moved)->tokens() == tokens);
        const auto fresh = Session::create(*host, {});
        REQUIRE(fresh);
        REQUIRE((*fresh)->evaluate(tokens, nullptr, 0, {}));
        const int32_t next[] = {11};
        const auto n_vocab = static_cast<size_t>((*host)->hyper_parameters().n_vocab);
        std::vector<float> expected(n_vocab), got(n_vocab);
        REQUIRE((*fresh)->evaluate(next, expected.data(), 1, {}));
        REQUIRE((*moved)->evaluate(next, got.data(), 1, {}));
        CHECK(got == expected);
        auto again = Generation::ask(*moved, "What is 17 + 25?", {.max_tokens = 300});
        REQUIRE(again);
        std::string answer;
        do {
            REQUIRE((*again)->next(event));
            if (event.kind == PONDER_EVENT_ANSWER) answer += event.text;
        } while (event.kind != PONDER_EVENT_DONE);
        CHECK(answer.find("42") != std::string::npos);
        faults().is_lost_while_waiting = false;
        faults().submits_until_loss = -1;
    }
}

TEST_CASE("vulkan: a full device is a status, wherever it happens") {
    if (!has_device()) return;
    const MockLoader mock;
    MockLoader::probe_again();
    for (const int64_t n_bytes : {int64_t{100} << 20, int64_t{66} << 20, int64_t{64} << 20, int64_t{0}}) {
        faults().bytes_until_full = n_bytes;
        const auto model = open_model();
        const auto result = model ? evaluate(*model) : Result<std::vector<float>>(model.error());
        if (n_bytes == 0) REQUIRE_FALSE(result);
        if (!result) CHECK(result.error().status == PONDER_STATUS_OUT_OF_MEMORY);
    }
    // Not asked for by name, a device without room gives way, and so does one that cannot be opened.
    setenv("PONDER_FORCE_BACKEND", "vulkan", 1);
    const auto on_full = open_model("auto");
    faults().bytes_until_full = -1;
    faults().cannot_open = true;
    const auto on_closed = open_model("auto");
    faults().cannot_open = false;
    unsetenv("PONDER_FORCE_BACKEND");
    for (const auto* opened : {&on_full, &on_closed}) {
        REQUIRE_MESSAGE(*opened, (*opened ? "" : opened->error().message));
        CHECK(std::string((**opened)->info().backend) != "vulkan");
        CHECK(evaluate(**opened));
    }
    const auto model = open_model();
    REQUIRE(model);
    device_of(**model).memory().set_cap(0);
    const auto capped = evaluate(*model);
    REQUIRE_FALSE(capped);
    CHECK(capped.error().status == PONDER_STATUS_OUT_OF_MEMORY);
    device_of(**model).memory().set_cap(~uint64_t{0});
    CHECK(evaluate(*model));
}

TEST_CASE("vulkan: a device with memory of its own gets and gives its bytes through the ring") {
    if (!has_device()) return;
    const auto shared = open_model();
    REQUIRE(shared);
    // One run on either: a card would take all of a longer prompt at once, and what is rounded to int8 then moves a router's choice.
    constexpr int32_t kTokens = 128;
    const auto expected = evaluate(*shared, PONDER_TYPE_F32, {}, kTokens);
    REQUIRE(expected);
    const MockLoader mock;
    faults().is_discrete = true;
    MockLoader::probe_again();
    const auto model = open_model();
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    const auto logits = evaluate(*model, PONDER_TYPE_F32, {}, kTokens);
    REQUIRE(logits);
    // Other kinds of devices may get other variants, which round otherwise.
    for (size_t i = 0; i < logits->size(); i++) CHECK(std::fabs((*logits)[i] - (*expected)[i]) <= 2e-2f);
    // More than the ring holds, and not a multiple of its parts; also after the device was lost in the middle.
    auto& device = device_of(**model);
    std::vector<uint32_t> bytes((size_t{70} << 20) / 4 + 3), read(bytes.size());
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint32_t>(i * 2654435761u);
    auto memory = device.memory().allocate(bytes.size() * 4 + 256, vk::MemoryKind::kDevice);
    REQUIRE(memory);
    REQUIRE(memory->mapped == nullptr);
    REQUIRE(device.write(*memory, 256, bytes.data(), bytes.size() * 4));
    REQUIRE(device.read(*memory, 256, read.data(), read.size() * 4));
    CHECK(read == bytes);
    faults().submits_until_loss = 2;
    const auto lost = device.write(*memory, 0, bytes.data(), bytes.size() * 4);
    REQUIRE_FALSE(lost);
    CHECK(lost.error().status == PONDER_STATUS_DEVICE_LOST);
    faults().submits_until_loss = -1;
    CHECK(device.write(*memory, 0, bytes.data(), bytes.size() * 4));
    CHECK(device.read(*memory, 0, read.data(), read.size() * 4));
    CHECK(read == bytes);
    device.memory().free(*memory);
}

TEST_CASE("vulkan: work is cancelled between its parts, and can be done again") {
    if (!has_device()) return;
    const auto model = open_model();
    REQUIRE(model);
    const auto before = evaluate(*model);
    REQUIRE(before);
    int n_calls = 0;
    const ProgressCallback stop{[](void* calls, int32_t, double) -> int32_t { return ++*static_cast<int*>(calls) > 1; }, &n_calls};
    const auto cancelled = evaluate(*model, PONDER_TYPE_F32, stop);
    REQUIRE_FALSE(cancelled);
    CHECK(cancelled.error().status == PONDER_STATUS_CANCELLED);
    const auto after = evaluate(*model);
    REQUIRE(after);
    CHECK(*before == *after);
}

TEST_CASE("vulkan: a driver that computes wrongly is found out, and the next call works") {
    if (!has_device()) return;
    std::vector<std::byte> cache;
    {
        const MockLoader mock;
        MockLoader::probe_again();
        faults().computes_nothing = true;
        const auto wrong = open_model();
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().status == PONDER_STATUS_DEVICE);
        CHECK(wrong.error().message.find("self-test of ") != std::string::npos);
        MESSAGE(wrong.error().message);
        // Not asked for by name, it gives way.
        setenv("PONDER_FORCE_BACKEND", "vulkan", 1);
        const auto other = open_model("auto");
        unsetenv("PONDER_FORCE_BACKEND");
        REQUIRE(other);
        CHECK(std::string((*other)->info().backend) != "vulkan");
        faults().computes_nothing = false;
        const auto right = open_model();
        REQUIRE(right);
        CHECK(evaluate(*right));
        const auto bytes = (*right)->device().read_cache();
        REQUIRE(bytes);
        cache = *bytes;
        // What was passed is not tested again.
        faults().computes_nothing = true;
        CHECK(Model::open(kReasoner, {.device = {.backend = "vulkan"}, .device_cache = cache}));
    }
    CHECK(open_model());
}

TEST_CASE("vulkan: a device that computes wrongly with half floats does without") {
    if (!has_device()) return;
    const MockLoader mock;
    MockLoader::probe_again();
    const auto plain = open_model("vulkan/float32");
    REQUIRE(plain);
    const auto expected = evaluate(*plain);
    REQUIRE(expected);
    REQUIRE(open_model());
    const bool has_halves = faults().is_open_with_halves;
    faults().computes_nothing_in_halves = true;
    const auto model = open_model();
    REQUIRE(model);
    CHECK((*model)->device().slot().variant == (has_halves ? "float32" : ""));
    if (!has_halves) return;
    const auto got = evaluate(*model);
    REQUIRE(got);
    CHECK(*got == *expected);
}

TEST_CASE("vulkan: a device takes its own cache back, and no other bytes") {
    if (!has_device()) return;
    const auto model = open_model();
    REQUIRE(model);
    const auto expected = evaluate(*model);
    REQUIRE(expected);
    const auto cache = (*model)->device().read_cache();
    REQUIRE(cache);
    CHECK(cache->size() > 40);
    const auto open_with = [](std::span<const std::byte> bytes) {
        return Model::open(kReasoner, {.device = {.backend = "vulkan"}, .device_cache = bytes});
    };
    const auto second = open_with(*cache);
    REQUIRE(second);
    const auto again = evaluate(*second);
    REQUIRE(again);
    CHECK(*again == *expected);
    // Right on the outside, but not the driver's.
    CHECK_FALSE(device_of(**model).pipelines().write_cache(std::vector<std::byte>(100), device_of(**model).traits().cache_header));
    std::vector<std::byte> damaged = *cache;
    damaged.back() ^= std::byte{1};
    for (const auto& bytes : {damaged, std::vector<std::byte>(1000), std::vector<std::byte>(1)}) CHECK(open_with(bytes));
}

TEST_CASE("vulkan: two sessions on two threads give the same, and leave nothing behind") {
    if (!has_device()) return;
    const auto model = open_model();
    REQUIRE(model);
    const auto expected = evaluate(*model);
    REQUIRE(expected);
    const uint64_t before = device_of(**model).memory().bytes_in_use();
    int n_right[2] = {};
    const auto work = [&](int who) {
        for (int i = 0; i < 10; i++) {
            const auto logits = evaluate(*model);
            n_right[who] += logits && *logits == *expected;
        }
    };
    std::thread other(work, 1);
    work(0);
    other.join();
    CHECK(n_right[0] == 10);
    CHECK(n_right[1] == 10);
    // Pages of the cache are kept for the next session, one session's more at most.
    CHECK(device_of(**model).memory().bytes_in_use() <= before + (uint64_t{8} << 20));
}
