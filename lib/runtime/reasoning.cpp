// SPDX-License-Identifier: Apache-2.0
// Follows the markers token by token and closes a thought at its budget.
#include "runtime/reasoning.hpp"

#include <utility>

namespace ponder {

ReasoningMachine::ReasoningMachine(ReasoningParams params)
    : params_(std::move(params)), phase_(params_.starts_in_thought ? Phase::kThinking : Phase::kAnswer) {
    enforce_budget();
}

std::optional<int32_t> ReasoningMachine::forced_token() const {
    if (forced_.empty()) return std::nullopt;
    return forced_.front();
}

ReasoningMachine::Accepted ReasoningMachine::accept(int32_t token) {
    if (!forced_.empty() && forced_.front() == token) forced_.pop_front();
    if (token == params_.think_token && phase_ == Phase::kAnswer && n_answer_ == 0) {
        phase_ = Phase::kThinking;
        enforce_budget();
        return {Phase::kThinking, true};
    }
    if (token == params_.end_think_token && phase_ == Phase::kThinking) {
        phase_ = Phase::kAnswer;
        return {Phase::kThinking, true};
    }
    const Phase phase = phase_;
    (phase == Phase::kThinking ? n_thinking_ : n_answer_)++;
    enforce_budget();
    return {phase, false};
}

// Called after each step in a thought: starts the closing when only the closing words still fit the budget.
void ReasoningMachine::enforce_budget() {
    if (phase_ != Phase::kThinking || params_.thinking_budget < 0 || was_cut_ || params_.end_think_token < 0) return;
    const auto n_words = static_cast<int64_t>(params_.closing_words.size());
    const bool has_words = n_words * 4 <= params_.thinking_budget;
    if (n_thinking_ < params_.thinking_budget - (has_words ? n_words : 0)) return;
    was_cut_ = true;
    if (has_words) forced_.insert(forced_.end(), params_.closing_words.begin(), params_.closing_words.end());
    forced_.push_back(params_.end_think_token);
    forced_.insert(forced_.end(), params_.answer_opening.begin(), params_.answer_opening.end());
}

}  // namespace ponder
