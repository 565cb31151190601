// SPDX-License-Identifier: Apache-2.0
// The state machine of one generation: what each token belongs to (thought, answer, end), and what must come next whatever the model says.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace ponder {

enum class Phase { kThinking, kAnswer };

struct ReasoningParams {
    int32_t think_token = -1, end_think_token = -1;  // -1: the vocabulary has no such marker
    bool starts_in_thought = false;                  // the prompt ends inside an open thought
    int64_t thinking_budget = -1;                    // most tokens of thought; -1: no limit
    std::vector<int32_t> closing_words;              // said at the budget's end, inside it, if they take at most a quarter of it
    std::vector<int32_t> answer_opening;             // follows a thought that was closed by the budget, such as "\n\n"
};

// Boundaries are tokens: no text is ever searched for markers.
class ReasoningMachine {
  public:
    explicit ReasoningMachine(ReasoningParams params);

    // The token that must come next, if the policy says so; otherwise the caller samples one. Either way, accept() it.
    std::optional<int32_t> forced_token() const;

    struct Accepted {
        Phase phase;     // what the token belongs to
        bool is_marker;  // it is a boundary and has no text
    };
    Accepted accept(int32_t token);

    Phase phase() const { return phase_; }
    bool was_cut() const { return was_cut_; }
    int64_t n_thinking() const { return n_thinking_; }
    int64_t n_answer() const { return n_answer_; }

  private:
    void enforce_budget();

    ReasoningParams params_;
    Phase phase_;
    std::deque<int32_t> forced_;
    bool was_cut_ = false;
    int64_t n_thinking_ = 0, n_answer_ = 0;
};

}  // namespace ponder
