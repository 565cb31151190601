// SPDX-License-Identifier: Apache-2.0
// The reasoning state machine and the edges of streamed text.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runtime/answer_text.hpp"
#include "runtime/reasoning.hpp"

using namespace ponder;

namespace {

constexpr int32_t kOpen = 1, kClose = 2, kWord = 10;

ReasoningParams params(int64_t budget, bool starts_in_thought = true, std::vector<int32_t> words = {20, 21}) {
    return {.think_token = kOpen,
            .end_think_token = kClose,
            .starts_in_thought = starts_in_thought,
            .thinking_budget = budget,
            .closing_words = std::move(words),
            .answer_opening = {30}};
}

// Feeds ordinary tokens where nothing is forced; returns everything accepted up to n tokens.
std::vector<int32_t> drive(ReasoningMachine& machine, int n) {
    std::vector<int32_t> taken;
    for (int i = 0; i < n; i++) {
        taken.push_back(machine.forced_token().value_or(kWord));
        machine.accept(taken.back());
    }
    return taken;
}

}  // namespace

TEST_CASE("reasoning: markers switch phases and have no text") {
    ReasoningMachine machine(params(-1, false));
    CHECK(machine.phase() == Phase::kAnswer);
    CHECK(machine.accept(kOpen).is_marker);
    CHECK(machine.phase() == Phase::kThinking);
    CHECK(!machine.accept(kWord).is_marker);
    CHECK(machine.accept(kClose).is_marker);
    CHECK(machine.phase() == Phase::kAnswer);
    CHECK(!machine.accept(kWord).is_marker);
    CHECK(machine.n_thinking() == 1);
    CHECK(machine.n_answer() == 1);
    CHECK(!machine.was_cut());
}

TEST_CASE("reasoning: an opening marker inside an answer is the answer's") {
    ReasoningMachine machine(params(-1, false));
    machine.accept(kWord);
    CHECK(!machine.accept(kOpen).is_marker);
    CHECK(machine.phase() == Phase::kAnswer);
}

TEST_CASE("reasoning: a budget closes the thought with words inside it") {
    ReasoningMachine machine(params(8));
    CHECK(drive(machine, 10) == std::vector<int32_t>{kWord, kWord, kWord, kWord, kWord, kWord, 20, 21, kClose, 30});
    CHECK(machine.was_cut());
    CHECK(machine.n_thinking() == 8);
    CHECK(!machine.forced_token());
}

TEST_CASE("reasoning: a small budget closes without words") {
    ReasoningMachine machine(params(3));
    CHECK(drive(machine, 5) == std::vector<int32_t>{kWord, kWord, kWord, kClose, 30});
    CHECK(machine.n_thinking() == 3);
}

TEST_CASE("reasoning: a thought that ends by itself is not cut") {
    ReasoningMachine machine(params(3));
    machine.accept(kWord);
    machine.accept(kClose);
    drive(machine, 10);
    CHECK(!machine.was_cut());
    CHECK(machine.n_thinking() == 1);
}

TEST_CASE("reasoning: a model that opens its own thought has the same budget") {
    ReasoningMachine machine(params(2, false));
    machine.accept(kOpen);
    CHECK(drive(machine, 4) == std::vector<int32_t>{kWord, kWord, kClose, 30});
}

TEST_CASE("answer_text: stop strings across pushes") {
    AnswerText text({"STOP", "\n\n"});
    CHECK(text.push("abc S") == "abc ");
    CHECK(text.push("TO") == "");
    CHECK(text.push("x") == "STOx");
    CHECK(text.push("y\n") == "y");
    CHECK(text.push("\nz") == "");
    CHECK(text.has_stopped());
    CHECK(text.push("more") == "");
    CHECK(text.finish() == "");
}

TEST_CASE("answer_text: what is held comes at the end") {
    AnswerText text({"STOP"});
    CHECK(text.push("aST") == "a");
    CHECK(text.finish() == "ST");
}

TEST_CASE("answer_text: split UTF-8 comes whole, unfinished comes as U+FFFD") {
    AnswerText text({});
    CHECK(text.push("\xe2\x82") == "");
    CHECK(text.push("\xac") == "\xe2\x82\xac");
    CHECK(text.push("\xf0\x9f") == "");
    CHECK(text.finish() == "\xef\xbf\xbd");
}

TEST_CASE("answer_text: blanks between thought and answer are skipped, others kept") {
    AnswerText text({});
    text.skip_blanks();
    CHECK(text.push("\n\n") == "");
    CHECK(text.push(" Hi \n") == "Hi \n");
    CHECK(text.push(" there") == " there");
}

TEST_CASE("answer_text: a thought loses its blank edges") {
    ThoughtText text;
    CHECK(text.push("\n") == "");
    CHECK(text.push(" one \n") == "one");
    CHECK(text.push("\n") == "");
    CHECK(text.push("two\n\n") == " \n\ntwo");
    CHECK(text.finish() == "");
}
