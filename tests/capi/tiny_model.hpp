// SPDX-License-Identifier: Apache-2.0
// Tiny models for the tests of the public interface, made by the library itself in a folder that goes away with the process.
#pragma once

#include <doctest/doctest.h>
#include <ponder/ponder.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace ponder_test {

// Sanitizers slow the library down; limits on time are multiplied by this.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kSlowdown = 20;
#else
inline constexpr int kSlowdown = 1;
#endif

// The process's own folder for test files.
inline const std::string& scratch_folder() {
    struct Folder {
        std::string path;
        Folder() {
            std::string pattern = (std::filesystem::temp_directory_path() / "ponder_test_XXXXXX").string();
            if (const char* made = mkdtemp(pattern.data())) path = made;
        }
        ~Folder() {
            std::error_code ignored;
            if (!path.empty()) std::filesystem::remove_all(path, ignored);
        }
    };
    static const Folder folder;
    return folder.path;
}

inline std::string scratch_path(const std::string& name) { return scratch_folder() + "/" + name; }

inline void write_file(const std::string& path, const std::string& bytes) {
    FILE* file = std::fopen(path.c_str(), "wb");
    REQUIRE(file != nullptr);
    CHECK(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
    std::fclose(file);
}

// Path of a tiny model ("tiny-llama", "tiny-qwen2", "tiny-qwen3"), made on first use.
inline std::string tiny_model(const std::string& shape = "tiny-qwen2") {
    const std::string path = scratch_path(shape + ".gguf");
    if (std::filesystem::exists(path)) return path;
    ponder_synth_params params = PONDER_SYNTH_PARAMS_INIT;
    params.type = "F32";
    params.seed = 7;
    ponder_error err = {};
    const ponder_status status = ponder_file_synthesize(shape.c_str(), path.c_str(), &params, &err);
    INFO(err.message);
    REQUIRE(status == PONDER_STATUS_OK);
    return path;
}

// Opens the tiny model; the caller closes it.
inline ponder_model* open_tiny_model(const std::string& shape = "tiny-qwen2") {
    ponder_model* model = nullptr;
    ponder_error err = {};
    const ponder_status status = ponder_model_open(tiny_model(shape).c_str(), nullptr, &model, &err);
    INFO(err.message);
    REQUIRE(status == PONDER_STATUS_OK);
    return model;
}

inline ponder_session* create_session(ponder_model* model, int32_t context = 0) {
    ponder_session_params params = PONDER_SESSION_PARAMS_INIT;
    params.context = context;
    ponder_session* session = nullptr;
    ponder_error err = {};
    const ponder_status status = ponder_session_create(model, &params, &session, &err);
    INFO(err.message);
    REQUIRE(status == PONDER_STATUS_OK);
    return session;
}

// A generation of at most `max_tokens` greedy tokens.
inline ponder_generation* ask(ponder_session* session, const char* text, int32_t max_tokens) {
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.max_tokens = max_tokens;
    params.temperature = PONDER_GREEDY;
    ponder_generation* generation = nullptr;
    ponder_error err = {};
    const ponder_status status = ponder_session_ask(session, text, &params, &generation, &err);
    INFO(err.message);
    REQUIRE(status == PONDER_STATUS_OK);
    return generation;
}

// Reads to the end: thinking in brackets, then the answer. `done` gets the last event.
inline std::string read_all(ponder_generation* generation, ponder_event* done = nullptr) {
    std::string text;
    ponder_event event = PONDER_EVENT_INIT;
    do {
        ponder_error err = {};
        const ponder_status status = ponder_generation_next(generation, &event, &err);
        INFO(err.message);
        REQUIRE(status == PONDER_STATUS_OK);
        const std::string piece = event.text ? std::string(event.text, event.text_size) : std::string();
        text += event.kind == PONDER_EVENT_THINKING ? "[" + piece + "]" : piece;
    } while (event.kind != PONDER_EVENT_DONE);
    if (done) *done = event;
    return text;
}

}  // namespace ponder_test
