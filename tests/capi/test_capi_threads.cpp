// SPDX-License-Identifier: Apache-2.0
// One model and many threads: the same tokens everywhere, a status instead of a race, and cancelling that works at once.
#include <ponder/ponder.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ponder/ponder.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tiny_model.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

// Cancels `session` from a second thread as soon as go() was called, and notes when.
class Canceller {
  public:
    explicit Canceller(ponder_session* session)
        : thread_([this, session] {
              is_going_.wait(false);
              cancelled_at_ = Clock::now();
              ponder_session_cancel(session);
              is_cancelled_ = true;
          }) {}
    ~Canceller() {
        go();
        thread_.join();
    }
    Canceller(const Canceller&) = delete;
    Canceller& operator=(const Canceller&) = delete;

    void go() {
        is_going_ = true;
        is_going_.notify_all();
    }
    bool is_cancelled() const { return is_cancelled_; }
    // Only after is_cancelled().
    Clock::time_point cancelled_at() const { return cancelled_at_; }

  private:
    std::atomic<bool> is_going_{false};
    std::atomic<bool> is_cancelled_{false};
    Clock::time_point cancelled_at_{};
    std::thread thread_;
};

struct Outcome {
    bool was_cancelled = false;
    double latency_ms = 0.0;
};

// Runs `attempt` until one was cancelled quickly: a random model may end by itself first, and a busy machine may be slow once.
template <class Attempt>
void check_cancel_latency(const Attempt& attempt) {
    double best = 1e9;
    int n_cancelled = 0;
    for (int i = 0; i < 12 && best > 100.0; i++) {
        const Outcome outcome = attempt(i);
        if (!outcome.was_cancelled) continue;
        n_cancelled++;
        best = std::min(best, outcome.latency_ms);
    }
    CAPTURE(best);
    CHECK(n_cancelled > 0);
    CHECK(best <= 100.0 * ponder_test::kSlowdown);
}

std::string long_text(size_t n_words) {
    std::string text;
    for (size_t i = 0; i < n_words; i++) text += "word" + std::to_string(i % 97) + " ";
    return text;
}

}  // namespace

TEST_CASE("capi_threads: many sessions on many threads give the same tokens") {
    for (const char* shape : {"tiny-llama", "tiny-qwen2", "tiny-qwen3"}) {
        CAPTURE(shape);
        const auto model = ponder::Model::open(ponder_test::tiny_model(shape));
        constexpr size_t kThreads = 8;
        std::vector<std::string> texts(kThreads);
        std::vector<std::thread> threads;
        for (size_t i = 0; i < kThreads; i++)
            threads.emplace_back([&model, &texts, i] {
                for (int round = 0; round < 3; round++) {
                    auto chat = model.session({.context = 256});
                    std::string text;
                    auto generation = chat.ask("Tell me a story.", {.max_tokens = 24, .temperature = 0.8f, .seed = 42});
                    for (const auto& event : generation) text += event.text();
                    texts[i] += text + "|" + std::to_string(generation.last().usage().answer_tokens);
                }
            });
        for (std::thread& thread : threads) thread.join();
        for (size_t i = 1; i < kThreads; i++) CHECK(texts[i] == texts[0]);
    }
}

TEST_CASE("capi_threads: the number of worker threads does not change a token") {
    std::string expected;
    for (const int32_t n_threads : {1, 2, 5}) {
        const auto model = ponder::Model::open(ponder_test::tiny_model(), {.n_threads = n_threads});
        auto chat = model.session();
        std::string text;
        for (const auto& event : chat.ask("Count.", {.max_tokens = 32, .temperature = 1.0f, .seed = 3})) text += event.text();
        if (n_threads == 1) expected = text;
        CHECK(text == expected);
    }
}

TEST_CASE("capi_threads: a session in use answers BUSY to another thread") {
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_session* session = ponder_test::create_session(model);
    struct Probe {
        ponder_session* session;
        ponder_status describe = PONDER_STATUS_OK, evaluate = PONDER_STATUS_OK, fork = PONDER_STATUS_OK;
    } probe{session};
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.max_tokens = 2;
    params.progress_user_data = &probe;
    // The callback runs while this thread is inside the session, so the second thread meets it there without any timing.
    params.on_progress = [](void* user_data, int32_t, double) {
        auto* seen = static_cast<Probe*>(user_data);
        std::thread([seen] {
            ponder_session_info info = PONDER_SESSION_INFO_INIT;
            seen->describe = ponder_session_describe(seen->session, &info, nullptr);
            const int32_t token = 1;
            seen->evaluate = ponder_session_evaluate(seen->session, &token, 1, nullptr, 0, nullptr);
            ponder_session* fork = nullptr;
            seen->fork = ponder_session_fork(seen->session, &fork, nullptr);
            ponder_session_destroy(fork);
        }).join();
        return int32_t{0};
    };
    ponder_generation* generation = nullptr;
    REQUIRE(ponder_session_ask(session, "hello", &params, &generation, nullptr) == PONDER_STATUS_OK);
    ponder_event done = PONDER_EVENT_INIT;
    ponder_test::read_all(generation, &done);
    CHECK(probe.describe == PONDER_STATUS_BUSY);
    CHECK(probe.evaluate == PONDER_STATUS_BUSY);
    CHECK(probe.fork == PONDER_STATUS_BUSY);
    CHECK(done.finish_reason != PONDER_FINISH_CANCELLED);
    ponder_generation_destroy(generation);
    ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_threads: cancel during decode takes effect within 100 ms") {
    ponder_model* model = ponder_test::open_tiny_model();
    check_cancel_latency([&](int i) {
        ponder_session* session = ponder_test::create_session(model);
        Outcome outcome;
        {
            Canceller canceller(session);
            ponder_generation* generation = ponder_test::ask(session, ("question " + std::to_string(i)).c_str(), 0);
            ponder_event event = PONDER_EVENT_INIT;
            int n_events = 0;
            do {
                REQUIRE(ponder_generation_next(generation, &event, nullptr) == PONDER_STATUS_OK);
                if (++n_events == 3) canceller.go();
            } while (event.kind != PONDER_EVENT_DONE);
            outcome.was_cancelled = event.finish_reason == PONDER_FINISH_CANCELLED && canceller.is_cancelled();
            if (outcome.was_cancelled) outcome.latency_ms = milliseconds_since(canceller.cancelled_at());
            ponder_generation_destroy(generation);
        }
        ponder_session_destroy(session);
        return outcome;
    });
    ponder_model_close(model);
}

TEST_CASE("capi_threads: cancel during prefill takes effect within 100 ms") {
    ponder_model* model = ponder_test::open_tiny_model();
    const std::string text = long_text(300);
    check_cancel_latency([&](int) {
        ponder_session* session = ponder_test::create_session(model);
        Outcome outcome;
        {
            Canceller canceller(session);
            ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
            params.is_raw = 1;
            params.max_tokens = 1;
            params.progress_user_data = &canceller;
            params.on_progress = [](void* user_data, int32_t, double) { return static_cast<Canceller*>(user_data)->go(), int32_t{0}; };
            ponder_generation* generation = nullptr;
            REQUIRE(ponder_session_ask(session, text.c_str(), &params, &generation, nullptr) == PONDER_STATUS_OK);
            ponder_event done = PONDER_EVENT_INIT;
            ponder_test::read_all(generation, &done);
            outcome.was_cancelled = done.finish_reason == PONDER_FINISH_CANCELLED && canceller.is_cancelled();
            if (outcome.was_cancelled) outcome.latency_ms = milliseconds_since(canceller.cancelled_at());
            ponder_generation_destroy(generation);
        }
        // The next work starts afresh.
        const int32_t token = 1;
        CHECK(ponder_session_evaluate(session, &token, 1, nullptr, 0, nullptr) == PONDER_STATUS_OK);
        ponder_session_destroy(session);
        return outcome;
    });
    ponder_model_close(model);
}

TEST_CASE("capi_threads: cancelling idle sessions from many threads is harmless") {
    const auto model = ponder::Model::open(ponder_test::tiny_model());
    const auto idle = model.session();
    auto busy = model.session();
    std::atomic<bool> is_over{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++)
        threads.emplace_back([&] {
            while (!is_over) {
                idle.cancel();
                busy.cancel();
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        });
    for (int i = 0; i < 20; i++) {
        auto generation = busy.ask("hello", {.max_tokens = 8});
        CHECK_NOTHROW(generation.answer());
        CHECK(generation.is_done());
    }
    is_over = true;
    for (std::thread& thread : threads) thread.join();
    CHECK_NOTHROW(busy.ask("hello", {.max_tokens = 2}).answer());
}

TEST_CASE("capi_threads: sessions of different cache types share the model's threads") {
    const auto model = ponder::Model::open(ponder_test::tiny_model(), {.n_threads = 4});
    const auto evaluate = [&model](ponder::KvType kv_type) {
        auto chat = model.session({.kv_type = kv_type});
        std::vector<int32_t> tokens(100);
        for (size_t i = 0; i < tokens.size(); i++) tokens[i] = static_cast<int32_t>(i % 50);
        return chat.evaluate(tokens, 1);
    };
    const ponder::KvType types[] = {ponder::KvType::kF32, ponder::KvType::kF16};
    std::vector<std::vector<float>> expected;
    for (const ponder::KvType type : types) expected.push_back(evaluate(type));
    std::atomic<int> n_wrong{0};
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 2; i++)
        threads.emplace_back([&, i] {
            for (int round = 0; round < 30; round++) n_wrong += evaluate(types[i]) != expected[i];
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(n_wrong == 0);
}

TEST_CASE("capi_threads: cancelling any session of a batch cancels the batch") {
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_session* sessions[] = {ponder_test::create_session(model), ponder_test::create_session(model)};
    const std::vector<int32_t> tokens(4'000, 1);
    ponder_evaluation items[] = {PONDER_EVALUATION_INIT, PONDER_EVALUATION_INIT};
    for (size_t i = 0; i < 2; i++) {
        items[i].session = sessions[i];
        items[i].tokens = tokens.data();
        items[i].n = tokens.size();
    }
    for (ponder_session* cancelled : sessions) {
        std::atomic<bool> is_over{false};
        // Again and again: a cancel before the batch begins does not count.
        std::thread canceller([&] {
            while (!is_over) {
                std::this_thread::sleep_for(std::chrono::milliseconds(2));
                ponder_session_cancel(cancelled);
            }
        });
        CHECK(ponder_model_evaluate(model, items, 2, nullptr) == PONDER_STATUS_CANCELLED);
        is_over = true;
        canceller.join();
        for (ponder_session* session : sessions) {
            ponder_session_info info = PONDER_SESSION_INFO_INIT;
            CHECK(ponder_session_describe(session, &info, nullptr) == PONDER_STATUS_OK);
            CHECK(info.n_tokens == 0);
        }
    }
    for (ponder_session* session : sessions) ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_threads: a callback that runs its own model gets BUSY, not a deadlock") {
    struct Probe {
        ponder_model* model;
        ponder_session* other;
        ponder_status evaluate = PONDER_STATUS_OK, create = PONDER_STATUS_OK;
    } probe{ponder_test::open_tiny_model(), nullptr};
    ponder_session* session = ponder_test::create_session(probe.model);
    probe.other = ponder_test::create_session(probe.model);
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.max_tokens = 2;
    params.progress_user_data = &probe;
    params.on_progress = [](void* user_data, int32_t, double) {
        auto* seen = static_cast<Probe*>(user_data);
        const int32_t token = 1;
        seen->evaluate = ponder_session_evaluate(seen->other, &token, 1, nullptr, 0, nullptr);
        ponder_session_params f32 = PONDER_SESSION_PARAMS_INIT;
        f32.kv_type = PONDER_KV_F32;
        ponder_session* created = nullptr;
        seen->create = ponder_session_create(seen->model, &f32, &created, nullptr);
        ponder_session_destroy(created);
        return int32_t{0};
    };
    ponder_generation* generation = nullptr;
    REQUIRE(ponder_session_ask(session, "hello", &params, &generation, nullptr) == PONDER_STATUS_OK);
    ponder_test::read_all(generation);
    CHECK(probe.evaluate == PONDER_STATUS_BUSY);
    CHECK(probe.create == PONDER_STATUS_BUSY);
    ponder_generation_destroy(generation);
    ponder_session_destroy(probe.other);
    ponder_session_destroy(session);
    ponder_model_close(probe.model);
}

TEST_CASE("capi_threads: a long prompt does not keep other sessions waiting") {
    const auto model = ponder::Model::open(ponder_test::tiny_model());
    auto reader = model.session({.context = 8'192}), writer = model.session({.context = 8'192});
    const std::vector<int32_t> step(1, 2);
    std::atomic<int> n_begun{0}, n_done{0};
    std::atomic<bool> is_read{false};
    // The reader, while it has the device, waits for the writer to ask for it: what is counted does not depend on the machine's speed.
    int n_served = 0, n_seen = 0;
    const auto on_progress = [&](ponder::Stage, double) {
        while (n_begun == n_done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (n_done == n_seen) return true;
        n_served++;
        n_seen = n_done;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return true;
    };
    std::thread thread([&] {
        reader.ask(long_text(1'500), {.max_tokens = 1, .is_raw = true, .on_progress = on_progress}).answer();
        is_read = true;
    });
    while (!is_read) {
        n_begun++;
        writer.evaluate(step);
        n_done++;
    }
    thread.join();
    CAPTURE(n_served);
    CHECK(n_served >= 5);
}
