// SPDX-License-Identifier: Apache-2.0
// Prompts, prefill, the token loop, and what a finished turn leaves behind.
#include "runtime/generation.hpp"

#include <chrono>
#include <new>
#include <utility>

namespace ponder {

namespace {

// Said in the model's own voice when its budget ends, so that the answer follows from a thought that came to a close.
constexpr std::string_view kClosingWords = "\n\nI have thought about this long enough, so I will give my answer now.\n";

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

nlohmann::ordered_json to_json(const Message& message) {
    nlohmann::ordered_json json{{"role", message.role}};
    json["content"] = message.text ? nlohmann::ordered_json(*message.text) : nlohmann::ordered_json();
    if (message.thinking) json["reasoning_content"] = *message.thinking;
    if (!message.tool_calls.is_null()) json["tool_calls"] = message.tool_calls;
    return json;
}

}  // namespace

Generation::Generation(std::shared_ptr<Session> session, GenerationOptions options)
    : session_(std::move(session)), options_(std::move(options)), sampler_(options_.sampling), answer_text_(options_.stops) {}

Result<std::unique_ptr<Generation>> Generation::ask(std::shared_ptr<Session> session, std::string text, GenerationOptions options) {
    session->begin_operation();
    std::vector<Message> messages;
    const bool is_raw = options.is_raw;
    if (!is_raw) messages = session->messages();
    messages.push_back({.role = "user", .text = text});
    auto generation = start(std::move(session), messages, std::move(options), is_raw);
    if (generation && !is_raw) (*generation)->asked_ = std::move(text);
    return generation;
}

Result<std::unique_ptr<Generation>> Generation::generate(std::shared_ptr<Session> session, const std::vector<Message>& messages,
                                                         GenerationOptions options) {
    session->begin_operation();
    return start(std::move(session), messages, std::move(options), false);
}

Result<std::unique_ptr<Generation>> Generation::start(std::shared_ptr<Session> session, const std::vector<Message>& messages,
                                                      GenerationOptions options, bool continues_cache) {
    std::unique_ptr<Generation> generation(new Generation(std::move(session), std::move(options)));
    const TextSide& text = *generation->session_->model().text();
    std::vector<int32_t> prompt;
    if (generation->options_.is_raw) {
        std::string raw;
        for (const Message& message : messages) raw += message.text.value_or("");
        if (continues_cache) {
            prompt = generation->session_->tokens();
            if (const auto last = generation->session_->unread_token()) prompt.push_back(*last);
        }
        auto tokens = text.tokenize_raw(raw, prompt.empty());
        if (!tokens) return tokens.error();
        prompt.insert(prompt.end(), tokens->begin(), tokens->end());
    } else {
        auto tokens = generation->chat_prompt(messages);
        if (!tokens) return tokens.error();
        prompt = std::move(*tokens);
    }
    if (auto prepared = generation->prepare(std::move(prompt)); !prepared) return prepared.error();
    return generation;
}

Result<std::vector<int32_t>> Generation::chat_prompt(const std::vector<Message>& messages) const {
    const TextSide& text = *session_->model().text();
    if (!text.has_template())
        return make_error(PONDER_STATUS_UNSUPPORTED, "the model has no chat template; ask for raw continuation instead");
    const bool wants_thought = options_.thinking_budget != 0;
    nlohmann::ordered_json context;
    context["messages"] = nlohmann::ordered_json::array();
    for (const Message& message : messages) context["messages"].push_back(to_json(message));
    if (!options_.tools.is_null()) context["tools"] = options_.tools;
    context["add_generation_prompt"] = true;
    // The two names that templates of hybrid models ask for.
    context["enable_thinking"] = wants_thought;
    context["thinking"] = wants_thought;
    if (options_.template_variables.is_object()) context.update(options_.template_variables);
    auto prompt = text.tokenize_chat(std::move(context));
    if (!prompt || wants_thought) return prompt;
    if (auto closed = close_thought(*prompt); !closed) return closed.error();
    return prompt;
}

// Leaves the prompt with an empty thought, as the models' own templates write one.
Result<void> Generation::close_thought(std::vector<int32_t>& prompt) const {
    const TextSide& text = *session_->model().text();
    const ThoughtState state = text.thought_state(prompt);
    if (!text.can_think() || state == ThoughtState::kClosed) return {};
    const auto append = [&](std::string_view blanks) -> Result<void> {
        auto tokens = text.tokenize_raw(blanks, false);
        if (!tokens) return tokens.error();
        prompt.insert(prompt.end(), tokens->begin(), tokens->end());
        return {};
    };
    if (state == ThoughtState::kNone) prompt.push_back(text.think_token());
    const bool has_newline = prompt.back() != text.think_token();
    if (auto appended = append(has_newline ? "\n" : "\n\n"); !appended) return appended;
    prompt.push_back(text.end_think_token());
    return append("\n\n");
}

Result<void> Generation::prepare(std::vector<int32_t> prompt) {
    const TextSide& text = *session_->model().text();
    if (prompt.empty())
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "the prompt is empty, and the model has no token to begin a text with");
    if (prompt.size() >= static_cast<size_t>(session_->context())) {
        return make_error(PONDER_STATUS_CONTEXT_FULL, "the prompt has %zu tokens, the session's context is %d", prompt.size(),
                          session_->context());
    }
    ReasoningParams params{
        .think_token = text.think_token(), .end_think_token = text.end_think_token(), .thinking_budget = options_.thinking_budget};
    const ThoughtState state = text.thought_state(prompt);
    params.starts_in_thought = state == ThoughtState::kOpen;
    if (text.can_think() && options_.thinking_budget >= 0) {
        auto words = text.tokenize_raw(kClosingWords, false);
        if (!words) return words.error();
        auto opening = text.tokenize_raw("\n\n", false);
        if (!opening) return opening.error();
        params.closing_words = std::move(*words);
        params.answer_opening = std::move(*opening);
    }
    machine_.emplace(std::move(params));
    thought_is_open_ = state == ThoughtState::kOpen;
    if (state == ThoughtState::kClosed) answer_text_.skip_blanks();
    usage_.prompt_tokens = static_cast<int64_t>(prompt.size());
    logits_.resize(static_cast<size_t>(session_->model().hyper_parameters().n_vocab));
    history_ = prompt;
    prompt_ = std::move(prompt);
    is_finished_ = false;
    session_->set_live_generation([this] { abandon(); });
    return {};
}

Result<void> Generation::prefill() {
    const double begin = seconds();
    usage_.cached_tokens = session_->reuse_prefix(prompt_);
    const auto rest = std::span<const int32_t>(prompt_).subspan(static_cast<size_t>(usage_.cached_tokens));
    auto done = evaluate(rest, options_.progress);
    first_token_at_ = seconds();
    usage_.prefill_s = first_token_at_ - begin;
    if (!done) return done;
    is_prefilled_ = true;
    return {};
}

// Where the device can tell the likeliest tokens and they decide, the logits stay with it.
Result<void> Generation::evaluate(std::span<const int32_t> tokens, ProgressCallback progress) {
    chosen_.reset();
    const auto reach = sampler_.reach();
    const ponder_selection selection{
        .reach = reach.value_or(0.0f),
        .is_taken = 0,
        .take = [](void* user_data, const ponder_candidate* candidates, int32_t n, int32_t n_rest, float cut) -> int32_t {
            return static_cast<Generation*>(user_data)->choose({candidates, static_cast<size_t>(n)}, n_rest, cut);
        },
        .user_data = this};
    return session_->evaluate(tokens, logits_.data(), 1, progress, reach ? &selection : nullptr);
}

// Out of memory, the logits are asked for, and the error comes from where they are used.
bool Generation::choose(std::span<const ponder_candidate> likeliest, int32_t n_rest, float cut) noexcept try {
    chosen_ = sampler_.sample_likeliest(likeliest, n_rest, cut, static_cast<size_t>(n_generated_));
    return chosen_.has_value();
} catch (const std::bad_alloc&) {
    return false;
}

Result<void> Generation::next(Event& out) {
    while (events_.empty() && !is_finished_) {
        auto advanced = advance();
        if (advanced) continue;
        if (advanced.error().status == PONDER_STATUS_BUSY) return advanced;
        finish(PONDER_FINISH_CANCELLED);
        if (advanced.error().status != PONDER_STATUS_CANCELLED) return advanced.error();
    }
    if (events_.empty()) {
        out = {};
        return {};
    }
    out = std::move(events_.front());
    events_.pop_front();
    return {};
}

Result<void> Generation::advance() try {
    if (session_->cancelled()) return make_error(PONDER_STATUS_CANCELLED, "cancelled");
    return is_prefilled_ ? step() : prefill();
} catch (...) {
    abandon();
    throw;
}

Result<void> Generation::step() {
    if (pending_token_) {
        if (session_->n_tokens() >= session_->context()) return finish(PONDER_FINISH_LENGTH), Result<void>();
        if (auto done = evaluate({&*pending_token_, 1}, {}); !done) return done;
        pending_token_.reset();
    }
    const auto forced = machine_->forced_token();
    const int32_t token = forced ? *forced : chosen_ ? *chosen_ : sampler_.sample(logits_, history_, static_cast<size_t>(n_generated_));
    if (token == Sampler::kNoToken) return make_error(PONDER_STATUS_INTERNAL, "the model's logits are not numbers");
    return take_token(token);
}

Result<void> Generation::take_token(int32_t token) {
    const Tokenizer& tokenizer = *session_->model().text()->tokenizer();
    if (tokenizer.is_end_of_generation(token)) {
        finish(machine_->was_cut() ? PONDER_FINISH_BUDGET : PONDER_FINISH_STOP);
        return {};
    }
    n_generated_++;
    history_.push_back(token);
    pending_token_ = token;
    const auto accepted = machine_->accept(token);
    if (accepted.is_marker) {
        if (machine_->phase() == Phase::kThinking) {
            thought_is_open_ = true;
        } else {
            end_thought();
        }
    } else if (tokenizer.kind(token) == TokenKind::kControl) {
        // A role marker that the model writes in the middle of a turn is no text.
    } else if (accepted.phase == Phase::kThinking) {
        emit(PONDER_EVENT_THINKING, thought_text_.push(tokenizer.decode(token)));
    } else {
        emit(PONDER_EVENT_ANSWER, answer_text_.push(tokenizer.decode(token)));
        if (answer_text_.has_stopped()) finish(machine_->was_cut() ? PONDER_FINISH_BUDGET : PONDER_FINISH_STOP);
    }
    if (!is_finished_ && options_.max_tokens > 0 && n_generated_ >= options_.max_tokens) finish(PONDER_FINISH_LENGTH);
    return {};
}

void Generation::emit(ponder_event_kind kind, std::string text) {
    if (text.empty()) return;
    (kind == PONDER_EVENT_THINKING ? thinking_ : answer_) += text;
    events_.push_back({kind, std::move(text)});
}

void Generation::end_thought() {
    if (!std::exchange(thought_is_open_, false)) return;
    emit(PONDER_EVENT_THINKING, thought_text_.finish());
    answer_text_.skip_blanks();
}

void Generation::finish(ponder_finish_reason reason) {
    if (std::exchange(is_finished_, true)) return;
    // First what cannot fail, so that the session knows of the end even if there is no memory for the rest.
    session_->set_live_generation(nullptr);
    finish_reason_ = reason;
    usage_.thinking_tokens = machine_->n_thinking();
    usage_.answer_tokens = machine_->n_answer();
    if (is_prefilled_) {
        usage_.decode_s = seconds() - first_token_at_;
        session_->set_unread_token(pending_token_);
    }
    end_thought();
    emit(PONDER_EVENT_ANSWER, answer_text_.finish());
    commit_turn();
}

void Generation::abandon() noexcept {
    try {
        finish(PONDER_FINISH_CANCELLED);
    } catch (const std::bad_alloc&) {
        // The generation has ended; its last text has not reached the events or the conversation.
    }
}

void Generation::commit_turn() {
    if (!asked_ || (finish_reason_ == PONDER_FINISH_CANCELLED && answer_.empty())) return;
    auto& messages = session_->messages();
    Message question{.role = "user", .text = asked_}, answer{.role = "assistant", .text = answer_};
    if (!thinking_.empty()) answer.thinking = thinking_;
    messages.reserve(messages.size() + 2);  // both or neither
    messages.push_back(std::move(question));
    messages.push_back(std::move(answer));
    asked_.reset();
}

}  // namespace ponder
