// SPDX-License-Identifier: Apache-2.0
// Exact greedy transcripts of the embedded reasoner, recorded on the reference backend: every other backend is held to them.
// reasoner_transcripts.json: [{"question", "thinking", "answer"}], written by examples/tiny-reasoner/record_transcripts.py.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "npy.hpp"
#include "ponder/ponder.hpp"
#include "test_data.hpp"

namespace {

const char* const kModel = PONDER_SOURCE_DIR "/examples/tiny-reasoner/tiny-reasoner.gguf";

struct Transcript {
    std::string thinking, answer;
};

Transcript ask(const ponder::Model& model, const std::string& question) {
    auto session = model.session({});
    Transcript transcript;
    for (const auto& event : session.ask(question, {.temperature = 0.0f})) {
        if (event.is_thinking()) transcript.thinking += event.text();
        if (event.is_answer()) transcript.answer += event.text();
    }
    return transcript;
}

// Nothing is checked where this processor does not have the backend's instruction set, or this build or machine no Vulkan.
void check_transcripts(const std::string& backend, int n_threads, const nlohmann::json& records) {
    std::optional<ponder::Model> model;
    try {
        model = ponder::Model::open(kModel, {.n_threads = n_threads, .backend = backend});
    } catch (const ponder::Error& failure) {
        REQUIRE(failure.status() == PONDER_STATUS_NOT_FOUND);
        REQUIRE((backend == "vulkan" || backend.find('/') != std::string::npos));
        if (backend == "vulkan") {
            ponder_test::n_skipped++;
            MESSAGE("skipped: " << failure.what());
        }
        return;
    }
    for (const auto& record : records) {
        const auto question = record["question"].get<std::string>();
        CAPTURE(question);
        const Transcript transcript = ask(*model, question);
        CHECK(transcript.thinking == record["thinking"].get<std::string>());
        CHECK(transcript.answer == record["answer"].get<std::string>());
    }
}

}  // namespace

TEST_CASE("reasoner: greedy transcripts are exact, whatever the number of threads") {
    const auto bytes = ponder_test::read_bytes(PONDER_SOURCE_DIR "/tests/golden/reasoner_transcripts.json");
    REQUIRE(bytes);
    const auto records = nlohmann::json::parse(*bytes, nullptr, false);
    REQUIRE(records.is_array());
    REQUIRE(records.size() >= 10);
    for (const std::string backend : {"reference", "cpu", "cpu/avx512", "cpu/avx2", "cpu/i8mm", "cpu/neon", "cpu/generic"}) {
        for (const int threads : {1, 2}) {
            CAPTURE(backend);
            check_transcripts(backend, threads, records);
        }
    }
}

TEST_CASE("reasoner: greedy transcripts are exact on the first GPU") {
    const auto bytes = ponder_test::read_bytes(PONDER_SOURCE_DIR "/tests/golden/reasoner_transcripts.json");
    REQUIRE(bytes);
    const auto records = nlohmann::json::parse(*bytes, nullptr, false);
    REQUIRE(records.is_array());
    check_transcripts("vulkan", 1, records);
}
