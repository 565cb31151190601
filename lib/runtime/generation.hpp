// SPDX-License-Identifier: Apache-2.0
// Generation: one answer in the making, pulled event by event.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/answer_text.hpp"
#include "runtime/reasoning.hpp"
#include "runtime/sampler.hpp"
#include "runtime/session.hpp"

namespace ponder {

struct GenerationOptions {
    int64_t max_tokens = 0;        // 0: until the context is full
    int64_t thinking_budget = -1;  // -1: no limit; 0: no thought
    SamplerParams sampling;
    bool is_raw = false;
    std::vector<std::string> stops;
    nlohmann::ordered_json tools;               // null: none
    nlohmann::ordered_json template_variables;  // null: none
    ProgressCallback progress;
};

struct Event {
    ponder_event_kind kind = PONDER_EVENT_DONE;
    std::string text;
};

struct Usage {
    int64_t prompt_tokens = 0, cached_tokens = 0, thinking_tokens = 0, answer_tokens = 0;
    double prefill_s = 0.0, decode_s = 0.0;
};

class Generation {
  public:
    // Builds the prompt; nothing is computed yet. The session is claimed by the caller in all of these calls.
    static Result<std::unique_ptr<Generation>> ask(std::shared_ptr<Session> session, std::string text, GenerationOptions options);
    static Result<std::unique_ptr<Generation>> generate(std::shared_ptr<Session> session, const std::vector<Message>& messages,
                                                        GenerationOptions options);

    ~Generation() { abandon(); }
    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;

    const std::shared_ptr<Session>& session() const { return session_; }

    // The next event; the last is DONE, over and over. On an error, and on an exception, the generation has ended; not on BUSY.
    Result<void> next(Event& out);
    // Ends it now if it has not ended. Short of memory, the last of its text may be lost.
    void abandon() noexcept;

    ponder_finish_reason finish_reason() const { return finish_reason_; }
    const Usage& usage() const { return usage_; }

  private:
    Generation(std::shared_ptr<Session> session, GenerationOptions options);
    static Result<std::unique_ptr<Generation>> start(std::shared_ptr<Session> session, const std::vector<Message>& messages,
                                                     GenerationOptions options, bool continues_cache);
    Result<std::vector<int32_t>> chat_prompt(const std::vector<Message>& messages) const;
    Result<void> close_thought(std::vector<int32_t>& prompt) const;
    Result<void> prepare(std::vector<int32_t> prompt);
    Result<void> advance();
    Result<void> prefill();
    Result<void> evaluate(std::span<const int32_t> tokens, ProgressCallback progress);
    bool choose(std::span<const ponder_candidate> likeliest, int32_t n_rest, float cut) noexcept;
    Result<void> step();
    Result<void> take_token(int32_t token);
    void emit(ponder_event_kind kind, std::string text);
    void end_thought();
    void finish(ponder_finish_reason reason);
    void commit_turn();

    std::shared_ptr<Session> session_;
    GenerationOptions options_;
    std::vector<int32_t> prompt_;
    std::optional<std::string> asked_;  // the user's text, of a turn of the session's own conversation

    std::optional<ReasoningMachine> machine_;
    Sampler sampler_;
    ThoughtText thought_text_;
    AnswerText answer_text_;
    bool thought_is_open_ = false;
    std::vector<float> logits_;             // [n_vocab], if chosen_ is empty
    std::optional<int32_t> chosen_;         // the next token, chosen from the likeliest alone
    std::optional<int32_t> pending_token_;  // generated, not yet evaluated
    std::vector<int32_t> history_;          // prompt and generated tokens, for penalties
    int64_t n_generated_ = 0;
    std::deque<Event> events_;
    std::string thinking_, answer_;  // all text sent, for the conversation

    bool is_prefilled_ = false, is_finished_ = true;  // not begun is finished
    ponder_finish_reason finish_reason_ = PONDER_FINISH_STOP;
    Usage usage_;
    double first_token_at_ = 0.0;
};

}  // namespace ponder
