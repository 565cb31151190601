// SPDX-License-Identifier: Apache-2.0
// Handles in every order of life and death, through the C interface and through ponder.hpp.
#include <ponder/ponder.h>

#include <optional>
#include <ponder/ponder.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tiny_model.hpp"

using ponder_test::ask;
using ponder_test::create_session;
using ponder_test::open_tiny_model;
using ponder_test::read_all;

namespace {

// Closes a handle the way a careful C program does: twice is as good as once.
template <class T>
void close_and_forget(T*& handle, void (*close)(T*)) {
    for (int i = 0; i < 2; i++) {
        close(handle);
        handle = nullptr;
    }
}

std::string greedy_answer(ponder::Session& session, const std::string& question, int32_t max_tokens) {
    std::string text;
    for (const auto& event : session.ask(question, {.max_tokens = max_tokens, .temperature = 0.0f})) text += event.text();
    return text;
}

}  // namespace

TEST_CASE("capi_lifetime: model first, session last") {
    ponder_model* model = open_tiny_model();
    ponder_session* session = create_session(model);
    ponder_generation* generation = ask(session, "hello", 8);
    close_and_forget(model, ponder_model_close);
    close_and_forget(session, ponder_session_destroy);
    ponder_event done = PONDER_EVENT_INIT;
    read_all(generation, &done);
    CHECK(done.kind == PONDER_EVENT_DONE);
    close_and_forget(generation, ponder_generation_destroy);
}

TEST_CASE("capi_lifetime: a session works after its model was closed") {
    ponder_model* model = open_tiny_model();
    ponder_session* session = create_session(model);
    ponder_model_close(model);
    ponder_generation* generation = ask(session, "hello", 8);
    const std::string first = read_all(generation);
    ponder_generation_destroy(generation);
    ponder_session* fork = nullptr;
    CHECK(ponder_session_fork(session, &fork, nullptr) == PONDER_STATUS_OK);
    ponder_session_destroy(session);
    ponder_session_info info = PONDER_SESSION_INFO_INIT;
    CHECK(ponder_session_describe(fork, &info, nullptr) == PONDER_STATUS_OK);
    CHECK(info.n_tokens > 0);
    ponder_session_destroy(fork);
}

TEST_CASE("capi_lifetime: the text side outlives its model") {
    ponder_model* model = open_tiny_model();
    ponder_text* text = ponder_model_text(model);
    REQUIRE(text != nullptr);
    ponder_text_info before = PONDER_TEXT_INFO_INIT;
    CHECK(ponder_text_describe(text, &before, nullptr) == PONDER_STATUS_OK);
    ponder_model_close(model);
    int32_t tokens[32];
    size_t n = 0;
    CHECK(ponder_text_tokenize(text, "still here", 10, PONDER_TOKENIZE_SPECIAL, tokens, 32, &n, nullptr) == PONDER_STATUS_OK);
    CHECK(n > 0);
    ponder_text_close(text);
}

TEST_CASE("capi_lifetime: generations are destroyed at any point") {
    ponder_model* model = open_tiny_model();
    ponder_session* session = create_session(model);
    ponder_generation* untouched = ask(session, "one", 8);
    ponder_generation_destroy(untouched);
    ponder_generation* begun = ask(session, "two", 8);
    ponder_event event = PONDER_EVENT_INIT;
    CHECK(ponder_generation_next(begun, &event, nullptr) == PONDER_STATUS_OK);
    ponder_generation_destroy(begun);
    ponder_generation* finished = ask(session, "three", 8);
    read_all(finished, &event);
    CHECK(ponder_generation_next(finished, &event, nullptr) == PONDER_STATUS_OK);
    CHECK(event.kind == PONDER_EVENT_DONE);
    ponder_generation_destroy(finished);
    ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_lifetime: another generation ends the one before") {
    ponder_model* model = open_tiny_model();
    ponder_session* session = create_session(model);
    ponder_generation* first = ask(session, "one", 64);
    ponder_event event = PONDER_EVENT_INIT;
    CHECK(ponder_generation_next(first, &event, nullptr) == PONDER_STATUS_OK);
    ponder_generation* second = ask(session, "two", 4);
    read_all(first, &event);
    CHECK(event.finish_reason == PONDER_FINISH_CANCELLED);
    read_all(second, &event);
    CHECK(event.finish_reason != PONDER_FINISH_CANCELLED);
    ponder_session_destroy(session);
    ponder_generation_destroy(first);
    ponder_model_close(model);
    ponder_generation_destroy(second);
}

TEST_CASE("capi_lifetime: forks go their own ways and say the same from the same start") {
    auto model = ponder::Model::open(ponder_test::tiny_model());
    auto root = model.session();
    greedy_answer(root, "the beginning", 12);
    const int64_t n_shared = root.info().n_tokens;
    CHECK(n_shared > 0);
    auto left = root.fork();
    auto right = root.fork();
    CHECK(left.info().n_tokens == n_shared);
    const std::string same = greedy_answer(left, "and then?", 16);
    greedy_answer(right, "something else entirely", 16);
    CHECK(root.info().n_tokens == n_shared);
    CHECK(greedy_answer(root, "and then?", 16) == same);
}

TEST_CASE("capi_lifetime: a session goes on on another model from its own tokens") {
    auto model = ponder::Model::open(ponder_test::tiny_model());
    auto root = model.session({.system = "Be brief."});
    greedy_answer(root, "the beginning", 12);
    const std::vector<int32_t> tokens = root.tokens();
    REQUIRE(static_cast<int64_t>(tokens.size()) == root.info().n_tokens);
    size_t n_needed = 0;
    CHECK(ponder_session_tokens(root.get(), nullptr, 0, &n_needed, nullptr) == PONDER_STATUS_BUFFER_TOO_SMALL);
    CHECK(n_needed == tokens.size());

    const auto other = ponder::Model::open(ponder_test::tiny_model());
    auto moved = root.fork_to(other);
    CHECK(moved.tokens() == tokens);
    CHECK(moved.info().n_messages == root.info().n_messages);
    CHECK(moved.info().context == root.info().context);
    CHECK(greedy_answer(moved, "and then?", 16) == greedy_answer(root, "and then?", 16));

    try {
        root.fork_to(other, {.context = 4});
        CHECK(false);
    } catch (const ponder::Error& error) {
        CHECK(error.status() == PONDER_STATUS_CONTEXT_FULL);
    }
    try {
        root.fork_to(other, {.system = "another"});
        CHECK(false);
    } catch (const ponder::Error& error) {
        CHECK(error.status() == PONDER_STATUS_INVALID_ARGUMENT);
    }
}

TEST_CASE("capi_lifetime: hundreds of sessions come and go") {
    ponder_model* model = open_tiny_model();
    std::vector<ponder_session*> sessions;
    for (int i = 0; i < 300; i++) sessions.push_back(create_session(model));
    ponder_model_close(model);
    for (size_t i = 0; i < sessions.size(); i += 2) ponder_session_destroy(sessions[i]);
    const int32_t token = 1;
    for (size_t i = 1; i < sessions.size(); i += 50)
        CHECK(ponder_session_evaluate(sessions[i], &token, 1, nullptr, 0, nullptr) == PONDER_STATUS_OK);
    for (size_t i = 1; i < sessions.size(); i += 2) ponder_session_destroy(sessions[i]);
}

TEST_CASE("ponder_hpp: objects move, outlive one another and destruct in any order") {
    std::optional<ponder::Model> model = ponder::Model::open(ponder_test::tiny_model());
    std::optional<ponder::Text> text = model->text();
    std::optional<ponder::Session> chat = model->session({.system = "Be brief."});
    ponder::Session moved = std::move(*chat);
    chat.reset();
    model.reset();
    CHECK(text->detokenize(text->tokenize("hello there")) == "hello there");
    ponder::Generation answer = moved.ask("hello", {.max_tokens = 6, .temperature = 0.0f});
    ponder::Generation elsewhere = std::move(answer);
    int n_done = 0;
    for (const auto& event : elsewhere) n_done += event.is_done() ? 1 : 0;
    CHECK(n_done == 1);
    CHECK(elsewhere.is_done());
    CHECK(elsewhere.last().usage().prompt_tokens > 0);
    for (const auto& event : elsewhere) FAIL("an event after the end: " << event.text());
}

TEST_CASE("ponder_hpp: thinking_budget 0 means no thought, temperature 0 the same answer twice") {
    const auto model = ponder::Model::open(ponder_test::tiny_model());
    std::string answers[2];
    for (std::string& answer : answers) {
        auto chat = model.session();
        auto generation = chat.ask("hello", {.max_tokens = 16, .thinking_budget = 0, .temperature = 0.0f});
        for (const auto& event : generation) {
            CHECK_FALSE(event.is_thinking());
            answer += event.text();
        }
        CHECK(generation.last().usage().thinking_tokens == 0);
    }
    CHECK(answers[0] == answers[1]);
}

TEST_CASE("ponder_hpp: failures are exceptions with the C status") {
    try {
        ponder::Model::open("/nonexistent/model.gguf");
        FAIL("the file cannot be opened");
    } catch (const ponder::Error& error) {
        CHECK(error.status() == PONDER_STATUS_IO);
        CHECK(std::string(error.what()).find("model.gguf") != std::string::npos);
    }
    CHECK_THROWS_AS(ponder::Model::open(std::string("a\0b", 3)), ponder::Error);
    auto chat = ponder::Model::open(ponder_test::tiny_model()).session();
    CHECK_THROWS_AS(chat.evaluate(std::vector<int32_t>{-1}), ponder::Error);
    CHECK_THROWS_AS(chat.ask(std::string("a\0b", 3)), ponder::Error);
    CHECK_NOTHROW(chat.evaluate(std::vector<int32_t>{1, 2}));
}

TEST_CASE("ponder_hpp: what a callback throws arrives at the caller") {
    struct Stop {};
    const std::string path = ponder_test::tiny_model();
    CHECK_THROWS_AS(ponder::Model::open(path, {.on_progress = [](ponder::Stage, double) -> bool { throw Stop(); }}), Stop);
    CHECK_THROWS_AS(ponder::Model::open(path, {.on_progress = [](ponder::Stage, double) { return false; }}), ponder::Error);
    const auto model = ponder::Model::open(path, {.on_progress = [](ponder::Stage, double) { return true; }});
    auto chat = model.session();
    auto answer = chat.ask("hello", {.max_tokens = 4, .on_progress = [](ponder::Stage, double) -> bool { throw Stop(); }});
    CHECK_THROWS_AS(answer.next(), Stop);
    CHECK_FALSE(chat.ask("again", {.max_tokens = 4}).answer().size() > 100000);
}

TEST_CASE("ponder_hpp: looking inside, planning, evaluating") {
    const std::string path = ponder_test::tiny_model();
    CHECK_FALSE(ponder::devices().empty());
    const auto file = ponder::File::open(path);
    REQUIRE(file.info().n_tensors > 0);
    REQUIRE(file.info().n_keys > 0);
    CHECK_FALSE(std::string(file.tensor(0).name).empty());
    CHECK_THROWS_AS(file.tensor(file.info().n_tensors), ponder::Error);
    for (int64_t i = 0; i < file.info().n_keys; i++) CHECK_FALSE(file.metadata(i).first.empty());

    const auto plan = ponder::Plan::create(path, {}, {.context = 64});
    CHECK(plan.info().fits == 1);
    CHECK(plan.info().context == 64);
    CHECK(plan.devices().size() == static_cast<size_t>(plan.info().n_devices));

    const auto model = ponder::Model::open(path);
    const auto n_vocab = static_cast<size_t>(model.info().n_vocab);
    auto alone = model.session();
    const std::vector<int32_t> tokens = {5, 6, 7};
    const std::vector<float> expected = alone.evaluate(tokens, 1);
    CHECK(expected.size() == n_vocab);
    auto left = model.session();
    auto right = model.session();
    std::vector<float> left_logits(n_vocab), right_logits(n_vocab);
    const ponder::Evaluation batch[] = {{&left, tokens, left_logits, 1}, {&right, tokens, right_logits, 1}};
    model.evaluate(batch);
    CHECK(left_logits == right_logits);
    CHECK(left_logits[3] == doctest::Approx(expected[3]).epsilon(1e-4));
    const ponder::Evaluation twice[] = {{&left, tokens, left_logits, 1}, {&left, tokens, right_logits, 1}};
    CHECK_THROWS_AS(model.evaluate(twice), ponder::Error);
    alone.rewind(1);
    CHECK(alone.info().n_tokens == 1);
}
