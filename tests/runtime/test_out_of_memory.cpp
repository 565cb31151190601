// SPDX-License-Identifier: Apache-2.0
// Every allocation fails once: the process goes on, and sessions, caches and conversations stay in step. Decoding makes none.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "placement_fixture.hpp"
#include "runtime/generation.hpp"
#include "runtime/sampler.hpp"
#include "runtime/synth.hpp"
#include "temp_file.hpp"

namespace {

// Allocations until one fails; below 0: none does. The one that fails is the last to be counted.
std::atomic<int64_t> allocations_left{-1};

std::atomic<int64_t> n_allocations{0};

bool fails_now() {
    n_allocations.fetch_add(1, std::memory_order_relaxed);
    return allocations_left.load() >= 0 && allocations_left.fetch_sub(1) == 0;
}

// Out of line: where GCC sees this within a caller, but not its operator new, it takes the two for a mismatch.
[[gnu::noinline]] void release(void* data) { std::free(data); }

}  // namespace

// The whole test program allocates through these.
void* operator new(size_t size) {
    void* data = fails_now() ? nullptr : std::malloc(size);
    if (data == nullptr) throw std::bad_alloc();
    return data;
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return fails_now() ? nullptr : std::malloc(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return fails_now() ? nullptr : std::malloc(size); }
void* operator new(size_t size, std::align_val_t align) {
    const auto unit = static_cast<size_t>(align);
    void* data = fails_now() ? nullptr : std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
    if (data == nullptr) throw std::bad_alloc();
    return data;
}
void* operator new[](size_t size, std::align_val_t align) { return operator new(size, align); }
void operator delete(void* data, std::align_val_t) noexcept { release(data); }
void operator delete[](void* data, std::align_val_t) noexcept { release(data); }
void operator delete(void* data, size_t, std::align_val_t) noexcept { release(data); }
void operator delete[](void* data, size_t, std::align_val_t) noexcept { release(data); }
void operator delete(void* data) noexcept { release(data); }
void operator delete[](void* data) noexcept { release(data); }
void operator delete(void* data, size_t) noexcept { release(data); }
void operator delete[](void* data, size_t) noexcept { release(data); }

using namespace ponder;

namespace {

// Calls body(), which is to clean up after itself, with allocation 0, 1, 2, ... failing, until it needs fewer; check() follows each call.
template <class Body, class Check>
void fail_each_allocation(const Body& body, const Check& check) {
    bool has_failed = true;
    int64_t n = 0;
    for (; has_failed; n++) {
        CAPTURE(n);
        allocations_left = n;
        try {
            body();
        } catch (const std::bad_alloc&) {
        }
        has_failed = allocations_left.exchange(-1) < 0;
        check();
        REQUIRE(n < 1'000'000);
    }
    CHECK(n > 1);
    MESSAGE(n << " allocations");
}

std::shared_ptr<Model> open_tiny_model() {
    static const ponder_test::TempFile file("oom.gguf");
    static const bool is_made = static_cast<bool>(synthesize("tiny-qwen2", file.path(), {.type = "F32", .seed = 7}));
    REQUIRE(is_made);
    auto model = Model::open(file.path(), {.n_threads = 2});
    REQUIRE(model);
    return *model;
}

}  // namespace

TEST_CASE("out_of_memory: evaluating keeps tokens and cache in step") {
    const auto model = open_tiny_model();
    const auto vocabulary = static_cast<size_t>(model->hyper_parameters().n_vocab);
    const std::vector<int32_t> begin(40, 1), more(70, 2);
    std::vector<float> expected(vocabulary), logits(vocabulary);
    auto fresh = *Session::create(model, {});
    REQUIRE(fresh->evaluate(begin, nullptr, 0, {}));
    REQUIRE(fresh->evaluate(more, expected.data(), 1, {}));

    // One session through all failures: whatever a failed call left behind would show in the next.
    auto session = *Session::create(model, {});
    REQUIRE(session->evaluate(begin, nullptr, 0, {}));
    bool is_done = false;
    fail_each_allocation([&] { is_done = static_cast<bool>(session->evaluate(more, logits.data(), 1, {})); },
                         [&] {
                             REQUIRE(session->n_tokens() == static_cast<int64_t>(session->tokens().size()));
                             if (!is_done) REQUIRE(session->n_tokens() == static_cast<int64_t>(begin.size()));
                         });
    CHECK(is_done);
    CHECK(logits == expected);
}

// Chat prompts are left out: nlohmann::json allocates in its destructor, which ends the process where that fails.
TEST_CASE("out_of_memory: sessions, forks and generations") {
    const auto model = open_tiny_model();
    const auto session = *Session::create(model, {});
    fail_each_allocation(
        [&] {
            auto other = Session::create(model, {.kv_type = PONDER_TYPE_F32});
            if (!other) return;
            auto fork = session->fork();
            if (!fork) return;
            auto generation = Generation::ask(*fork, "Once upon", {.max_tokens = 4, .is_raw = true, .stops = {"stop"}});
            if (!generation) return;
            Event event;
            while ((*generation)->next(event) && event.kind != PONDER_EVENT_DONE) {
            }
        },
        [&] { REQUIRE(session->n_tokens() == 0); });
}

TEST_CASE("out_of_memory: a turn joins the conversation whole or not at all") {
    const auto session = *Session::create(open_tiny_model(), {});
    std::unique_ptr<Generation> generation;
    const auto begin_turn = [&] {
        auto asked = Generation::ask(session, "Hi", {.max_tokens = 3, .thinking_budget = 0});
        REQUIRE(asked);
        generation = std::move(*asked);
    };
    begin_turn();
    fail_each_allocation(
        [&] {
            Event event;
            while (generation->next(event) && event.kind != PONDER_EVENT_DONE) {
            }
        },
        [&] {
            REQUIRE(session->n_tokens() == static_cast<int64_t>(session->tokens().size()));
            REQUIRE(session->messages().size() % 2 == 0);
            session->messages().clear();
            begin_turn();
        });
}

TEST_CASE("out_of_memory: opening a model") {
    open_tiny_model();
    const ponder_test::TempFile file("oom-open.gguf");
    REQUIRE(synthesize("tiny-llama", file.path(), {.type = "F32", .seed = 7}));
    fail_each_allocation([&] { (void)Model::open(file.path(), {.n_threads = 2}); }, [] {});
}

TEST_CASE("out_of_memory: a token allocates nothing") {
    constexpr size_t kPrompt = 600;  // long enough for attention in spans
    for (const std::string shape : {"tiny-qwen2", "tiny-qwen3", "tiny-deepseek-v3"}) {
        CAPTURE(shape);
        const ponder_test::TempFile file("steady.gguf");
        REQUIRE(synthesize(shape, file.path(), {.type = "Q4_K_M", .seed = 7}));
        const auto model = Model::open(file.path(), {.device = {.backend = ponder_test::host_backend()}, .n_threads = 3});
        REQUIRE(model);
        std::vector<float> logits(static_cast<size_t>((*model)->hyper_parameters().n_vocab));
        auto session = *Session::create(*model, {.context = 2 * kPrompt});
        REQUIRE(session->evaluate(std::vector<int32_t>(kPrompt + 200, 1), nullptr, 0, {}));
        REQUIRE(session->rewind(kPrompt));  // the cache has grown: it is memory that tokens need
        Sampler greedy({.temperature = 0.0f});
        const auto step = [&] {
            const int32_t token = 2;
            const bool is_done = static_cast<bool>(session->evaluate({&token, 1}, logits.data(), 1, {}));
            return is_done && greedy.sample(logits, {}, 0) >= 0;
        };
        for (int i = 0; i < 20; i++) REQUIRE(step());
        n_allocations = 0;
        bool is_done = true;
        for (int i = 0; i < 100; i++) is_done = step() && is_done;
        const int64_t n = n_allocations;
        CHECK(is_done);
        CHECK(n == 0);
    }
}
