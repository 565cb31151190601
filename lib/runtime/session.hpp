// SPDX-License-Identifier: Apache-2.0
// Session: one conversation's tokens and cache on a model. One thread at a time uses it; any thread may cancel it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/model.hpp"

namespace ponder {

struct Message {
    std::string role;
    std::optional<std::string> text, thinking;
    nlohmann::ordered_json tool_calls;  // null: none
};

struct SessionOptions {
    int32_t context = 0;             // 0: the model's, at most kDefaultContext
    std::optional<int32_t> kv_type;  // none: usual_kv_type
    std::optional<std::string> system;
};

class Session {
  public:
    static constexpr int32_t kDefaultContext = 8'192;

    // Tokens that a session of these options holds. Errors: LIMIT.
    static Result<int32_t> choose_context(const HyperParameters& model, const SessionOptions& options);
    static Result<std::shared_ptr<Session>> create(std::shared_ptr<Model> model, const SessionOptions& options);
    Result<std::shared_ptr<Session>> fork() const;
    // See ponder_session_fork_to.
    Result<std::shared_ptr<Session>> fork_to(std::shared_ptr<Model> model, SessionOptions options);

    Model& model() const { return *model_; }
    int32_t context() const { return context_; }
    int64_t n_tokens() const { return sequence_->n_tokens(); }
    uint64_t kv_bytes() const { return sequence_->n_bytes(); }
    const std::vector<int32_t>& tokens() const { return tokens_; }
    // The last token of a generation, which no step was needed to read; a text that goes on from here begins with it.
    std::optional<int32_t> unread_token() const { return unread_token_; }
    void set_unread_token(std::optional<int32_t> token) { unread_token_ = token; }
    std::vector<Message>& messages() { return messages_; }

    // Any thread.
    void cancel() { is_cancelled_.store(true, std::memory_order_relaxed); }
    const std::atomic<bool>& cancelled() const { return is_cancelled_; }

    // Claims the session for the calling thread. False: another thread has it.
    bool try_claim() { return !is_claimed_.exchange(true, std::memory_order_acquire); }
    void release_claim() { is_claimed_.store(false, std::memory_order_release); }

    // Starts an operation of the host's: ends a generation under way and forgets earlier cancels.
    void begin_operation();
    // What ends the generation under way; empty: there is none.
    void set_live_generation(std::function<void()> abandon) { abandon_live_generation_ = std::move(abandon); }

    // Appends tokens; see ponder_session_evaluate. selection: where only the last row's logits are wanted, asks for its likeliest tokens.
    Result<void> evaluate(std::span<const int32_t> tokens, float* logits, size_t n_rows, ProgressCallback progress,
                          const ponder_selection* selection = nullptr);
    Result<void> rewind(int64_t n_keep);
    // Makes the cache a prefix of `prompt` that lacks at least its last token, keeping as much as possible. Returns the tokens kept.
    int64_t reuse_prefix(std::span<const int32_t> prompt);

    // evaluate() for several sessions of one model at once; to cancel any of them cancels all. The sessions are claimed.
    struct BatchItem {
        Session* session;
        std::span<const int32_t> tokens;
        float* logits;
        size_t n_rows;
        const ponder_selection* selection = nullptr;
    };
    static Result<void> evaluate_batch(std::span<const BatchItem> items, ProgressCallback progress);

  private:
    Session(std::shared_ptr<Model> model, Executor* executor, int32_t context)
        : model_(std::move(model)), executor_(executor), context_(context) {}

    std::shared_ptr<Model> model_;
    Executor* executor_;
    int32_t context_;
    std::unique_ptr<KvSequence> sequence_;
    std::vector<int32_t> tokens_;  // what the cache holds
    std::optional<int32_t> unread_token_;
    std::vector<Message> messages_;
    std::atomic<bool> is_cancelled_{false}, is_claimed_{false};
    std::function<void()> abandon_live_generation_;
};

}  // namespace ponder
