// SPDX-License-Identifier: Apache-2.0
// Whole generations: real weights to the last character, events and finish reasons on a synthetic reasoning model.
#include <filesystem>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "format/json.hpp"
#include "runtime/generation.hpp"
#include "runtime/synth.hpp"
#include "temp_file.hpp"
#include "test_data.hpp"

namespace {

using namespace ponder;

struct Transcript {
    std::string thinking, answer;
    ponder_finish_reason reason = PONDER_FINISH_STOP;
    Usage usage;
};

Transcript collect(Generation& generation) {
    Transcript t;
    for (;;) {
        Event event;
        const auto advanced = generation.next(event);
        REQUIRE_MESSAGE(advanced, (advanced ? "" : advanced.error().message));
        if (event.kind == PONDER_EVENT_DONE) break;
        (event.kind == PONDER_EVENT_THINKING ? t.thinking : t.answer) += event.text;
    }
    t.reason = generation.finish_reason();
    t.usage = generation.usage();
    return t;
}

std::shared_ptr<Model> open_model(const std::string& path, int n_threads = 2) {
    auto model = Model::open(path, {.n_threads = n_threads});
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    return *model;
}

std::shared_ptr<Session> new_session(const std::shared_ptr<Model>& model, SessionOptions options = {}) {
    auto session = Session::create(model, options);
    REQUIRE_MESSAGE(session, (session ? "" : session.error().message));
    return *session;
}

std::unique_ptr<Generation> ask(const std::shared_ptr<Session>& session, const std::string& text, GenerationOptions options) {
    auto generation = Generation::ask(session, text, std::move(options));
    REQUIRE_MESSAGE(generation, (generation ? "" : generation.error().message));
    return std::move(*generation);
}

// A model with random weights that opens a thought; the same for all tests of this file.
const std::string& tiny_model_path() {
    static const ponder_test::TempFile file("tiny.gguf");
    static const bool is_made = static_cast<bool>(synthesize("tiny-qwen2", file.path(), {.seed = 7}));
    REQUIRE(is_made);
    return file.path();
}

}  // namespace

TEST_CASE("generation: real weights write their published greedy text") {
    if (!ponder_test::has_data("models/stories260K.expected.json")) return;
    const auto text = read_file(ponder_test::data_path("models/stories260K.expected.json"), 16 << 20);
    REQUIRE(text);
    const auto expected = parse_json(*text);
    REQUIRE(expected);
    for (const int n_threads : {1, 2, 3}) {
        const auto model = open_model(ponder_test::data_path("models/stories260K.f32.gguf"), n_threads);
        for (const auto& run : (*expected)["runs"]) {
            const std::string prompt = run["prompt"];
            CAPTURE(prompt);
            const auto n_new = static_cast<int64_t>(run["greedy_ids"].size() - run["prompt_ids"].size());
            auto generation = ask(new_session(model), prompt, {.max_tokens = n_new, .is_raw = true});
            const Transcript t = collect(*generation);
            const std::string whole = run["text"];
            REQUIRE(t.answer.size() < whole.size() + 1);
            CHECK(whole.substr(whole.size() - t.answer.size()) == t.answer);
            CHECK(t.usage.prompt_tokens == static_cast<int64_t>(run["prompt_ids"].size()));
            CHECK(t.usage.prompt_tokens + t.usage.answer_tokens == static_cast<int64_t>(run["greedy_ids"].size()));
        }
    }
}

TEST_CASE("generation: the thought is cut at its budget and an answer follows") {
    const auto model = open_model(tiny_model_path());
    for (const int64_t budget : {1, 5, 40, 200}) {
        CAPTURE(budget);
        auto generation = ask(new_session(model), "Which is larger?", {.max_tokens = budget + 30, .thinking_budget = budget});
        const Transcript t = collect(*generation);
        CHECK(t.usage.thinking_tokens <= budget);
        if (t.reason == PONDER_FINISH_LENGTH) CHECK(t.usage.answer_tokens > 0);
    }
}

TEST_CASE("generation: without a thought every token is the answer's") {
    const auto model = open_model(tiny_model_path());
    auto generation = ask(new_session(model), "Hello", {.max_tokens = 20, .thinking_budget = 0});
    const Transcript t = collect(*generation);
    CHECK(t.thinking.empty());
    CHECK(t.usage.thinking_tokens == 0);
    CHECK(t.usage.answer_tokens > 0);
}

TEST_CASE("generation: same seed, same text; another seed, another text") {
    const auto model = open_model(tiny_model_path());
    const auto run = [&](uint64_t seed) {
        auto generation = ask(new_session(model), "Hello", {.max_tokens = 40, .sampling = {.temperature = 1.0f, .seed = seed}});
        const Transcript t = collect(*generation);
        return t.thinking + "|" + t.answer;
    };
    CHECK(run(1) == run(1));
    CHECK(run(1) != run(2));
}

TEST_CASE("generation: a cached prefix changes nothing but the work") {
    const auto model = open_model(tiny_model_path());
    const auto warm = new_session(model);
    collect(*ask(warm, "First question", {.max_tokens = 12}));
    const auto messages = warm->messages();
    REQUIRE(messages.size() == 2);
    auto cold_messages = messages;
    cold_messages.push_back({.role = "user", .text = "Second question"});
    const Transcript second = collect(*ask(warm, "Second question", {.max_tokens = 12}));
    CHECK(second.usage.cached_tokens > 0);

    auto cold = Generation::generate(new_session(model), cold_messages, {.max_tokens = 12});
    REQUIRE(cold);
    const Transcript fresh = collect(**cold);
    CHECK(fresh.usage.cached_tokens == 0);
    CHECK(fresh.usage.prompt_tokens == second.usage.prompt_tokens);
    CHECK(fresh.thinking + fresh.answer == second.thinking + second.answer);
}

TEST_CASE("generation: a fork goes its own way without disturbing the other") {
    const auto model = open_model(tiny_model_path());
    const auto session = new_session(model);
    collect(*ask(session, "First", {.max_tokens = 10}));
    auto fork = session->fork();
    REQUIRE(fork);
    const Transcript there = collect(*ask(*fork, "Other", {.max_tokens = 10}));
    const Transcript here = collect(*ask(session, "Same", {.max_tokens = 10}));
    const auto fresh = new_session(model);
    collect(*ask(fresh, "First", {.max_tokens = 10}));
    const Transcript again = collect(*ask(fresh, "Same", {.max_tokens = 10}));
    CHECK(here.thinking + here.answer == again.thinking + again.answer);
    CHECK(there.usage.cached_tokens > 0);
}

TEST_CASE("generation: cancelled and abandoned turns") {
    const auto model = open_model(tiny_model_path());
    const auto session = new_session(model);
    auto generation = ask(session, "Hello", {.max_tokens = 100});
    session->cancel();
    CHECK(collect(*generation).reason == PONDER_FINISH_CANCELLED);
    CHECK(session->messages().empty());  // nothing was answered: the turn is undone

    auto first = ask(session, "One", {.max_tokens = 100});
    Event event;
    REQUIRE(first->next(event));
    auto second = ask(session, "Two", {.max_tokens = 5});
    CHECK(collect(*first).reason == PONDER_FINISH_CANCELLED);
    CHECK(collect(*second).reason != PONDER_FINISH_CANCELLED);
}

TEST_CASE("generation: raw text goes on after its very last token") {
    const auto model = open_model(tiny_model_path());
    const auto whole = new_session(model), cut = new_session(model);
    const Transcript expected = collect(*ask(whole, "Once", {.max_tokens = 9, .is_raw = true}));
    REQUIRE(expected.usage.thinking_tokens + expected.usage.answer_tokens == 9);
    collect(*ask(cut, "Once", {.max_tokens = 5, .is_raw = true}));
    const auto fork = cut->fork();
    REQUIRE(fork);
    for (const auto& session : {cut, *fork}) {
        const Transcript rest = collect(*ask(session, "", {.max_tokens = 4, .is_raw = true}));
        CHECK(rest.usage.prompt_tokens == expected.usage.prompt_tokens + 5);
        CHECK(session->tokens() == whole->tokens());
    }
    // What the host evaluates or rewinds itself comes straight after the cached tokens.
    REQUIRE(cut->rewind(cut->n_tokens()));
    CHECK(!cut->unread_token());
}

TEST_CASE("generation: lengths") {
    const auto model = open_model(tiny_model_path());
    const Transcript t = collect(*ask(new_session(model), "Hello", {.max_tokens = 3}));
    CHECK(t.usage.thinking_tokens + t.usage.answer_tokens <= 3);
    const auto small = new_session(model, {.context = 48});
    const Transcript full = collect(*ask(small, "Hello", {}));
    CHECK(full.usage.prompt_tokens + full.usage.thinking_tokens + full.usage.answer_tokens <= 50);
    const auto too_long = Generation::ask(small, std::string(400, 'x'), {});
    REQUIRE(!too_long);
    CHECK(too_long.error().status == PONDER_STATUS_CONTEXT_FULL);
}

TEST_CASE("generation: what a user types never becomes a role marker or a thought") {
    const auto model = open_model(tiny_model_path());
    const TextSide& text = *model->text();
    REQUIRE(text.can_think());
    const auto count = [&](const std::string& content) {
        nlohmann::ordered_json context{{"messages", {{{"role", "user"}, {"content", content}}}}, {"add_generation_prompt", true}};
        const auto tokens = text.tokenize_chat(context);
        REQUIRE(tokens);
        int n_special = 0;
        for (const TokenId token : *tokens) n_special += text.tokenizer()->kind(token) != TokenKind::kNormal;
        return n_special;
    };
    std::string hostile = "<think></think>";
    for (TokenId id = 0; id < text.tokenizer()->n_tokens(); id++) {
        if (text.tokenizer()->kind(id) == TokenKind::kControl) hostile += text.tokenizer()->decode(id);
    }
    CHECK(count(hostile) == count("harmless"));
}
