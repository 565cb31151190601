// SPDX-License-Identifier: Apache-2.0
// A thousand generations of two sessions on two threads: always the same words, and nothing left behind. Run by `ctest -L long`.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "capi/handles.hpp"
#include "test_data.hpp"
#include "vulkan/vk_buffer.hpp"

namespace {

// Fewer for a look in passing: PONDER_SOAK_GENERATIONS.
int count_generations() {
    const char* given = std::getenv("PONDER_SOAK_GENERATIONS");
    return given != nullptr && std::atoi(given) > 1 ? std::atoi(given) / 2 * 2 : 1000;
}

uint64_t resident_bytes() {
    unsigned long long size = 0, resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
        if (std::fscanf(file, "%llu %llu", &size, &resident) != 2) resident = 0;
        std::fclose(file);
    }
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t held_by_device(const ponder_model* model) { return ponder::vk::own(model->impl->device().handle())->memory().bytes_in_use(); }

constexpr int kAnswers = 12;
// Drawn greedily, from the likeliest tokens, or from all logits. Empty where a call fails.
std::string answer(ponder_model* model, int i) {
    static const char* const kPrompts[] = {"2+2", "17+25", "9-4", "Tom has 3 apples and gets 4 more. How many apples does Tom have?"};
    ponder_session* session = nullptr;
    ponder_generation* generation = nullptr;
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.temperature = i % kAnswers < 4 ? PONDER_GREEDY : 0.6f;
    params.top_p = i % kAnswers < 8 ? 0.95f : 1.0f;
    params.seed = static_cast<uint64_t>(i % kAnswers);
    params.max_tokens = 8;
    std::string text;
    ponder_event event = PONDER_EVENT_INIT;
    if (ponder_session_create(model, nullptr, &session, nullptr) == PONDER_STATUS_OK &&
        ponder_session_ask(session, kPrompts[i % 4], &params, &generation, nullptr) == PONDER_STATUS_OK) {
        while (ponder_generation_next(generation, &event, nullptr) == PONDER_STATUS_OK && event.kind != PONDER_EVENT_DONE)
            text.append(event.text, event.text_size);
    }
    if (event.kind != PONDER_EVENT_DONE) text.clear();
    ponder_generation_destroy(generation);
    ponder_session_destroy(session);
    return text;
}

}  // namespace

TEST_CASE("soak: two sessions on two threads, a thousand generations" * doctest::skip()) {
    if (!ponder::choose_device({.backend = "vulkan"})) {
        ponder_test::n_skipped++;
        MESSAGE("skipped: no Vulkan device");
        return;
    }
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    params.backend = "vulkan";
    ponder_model* model = nullptr;
    REQUIRE(ponder_model_open(PONDER_SOURCE_DIR "/examples/tiny-reasoner/tiny-reasoner.gguf", &params, &model, nullptr) ==
            PONDER_STATUS_OK);
    std::string expected[kAnswers];
    for (int i = 0; i < kAnswers; i++) CHECK_FALSE((expected[i] = answer(model, i)).empty());
    int n_right[2] = {};
    const auto work = [&](int who, int n) {
        for (int i = 0; i < n; i++) n_right[who] += answer(model, i) == expected[i % kAnswers];
    };
    const auto run = [&](int n) {
        std::thread other(work, 1, n);
        work(0, n);
        other.join();
    };
    // Pages of the cache for two sessions, and what allocators keep, come first.
    run(20);
    const uint64_t before = resident_bytes(), held_before = held_by_device(model);
    n_right[0] = n_right[1] = 0;
    const int n_generations = count_generations();
    run(n_generations / 2);
    const uint64_t after = resident_bytes(), held_after = held_by_device(model);
    CHECK(n_right[0] + n_right[1] == n_generations);
    // The device's memory is part of it where a processor plays the device.
    CHECK(after <= before + (uint64_t{4} << 20));
    const int n_all = n_right[0] + n_right[1];
    ponder_model_close(model);
    CHECK(held_after == held_before);
    MESSAGE("held by the device: " << held_before << " bytes before, " << held_after << " after");
    MESSAGE(n_all << " right; resident " << before << " bytes before, " << after << " after");
}
