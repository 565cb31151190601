// SPDX-License-Identifier: Apache-2.0
// The C++20 side of ponder: owning, move-only handles and exceptions over ponder.h, header-only, nothing but std inside.
//
//     auto model = ponder::Model::open(path, {.memory_cap = 6_GiB, .on_progress = bar});
//     auto chat = model.session({.context = 16384});
//     for (const auto& event : chat.ask("Plan my week.", {.thinking_budget = 1024}))
//         event.is_thinking() ? ui.think(event.text()) : ui.say(event.text());
//
// Rules that hold for every class:
// - A failed call throws ponder::Error, which carries the C status and the library's message; the object it was called on is
//   as it was before. Statuses are those that ponder.h names at the C call of the same name.
// - Handles can be moved, not copied. They may be destroyed in any order: a Session keeps its model mapped by itself. A handle
//   that was moved from may only be destroyed or assigned to.
// - Option structs are aggregates for designated initialisers; a field that is left out means "the default".
// - Threads: Model, Text, File and Plan may be used by any number of threads. A Session and its Generations belong to one thread
//   at a time (another gets PONDER_STATUS_BUSY); Session::cancel is for every thread.
// - Callbacks run on the thread that made the call. What they throw is carried around the C frames and thrown from that call.
// - get() of each class gives the C handle, still owned by the object, for calls of ponder.h.
#ifndef PONDER_PONDER_HPP
#define PONDER_PONDER_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ponder.h"
#include "ponder_options.hpp"

namespace ponder {
inline namespace api {

struct Usage {
    int64_t prompt_tokens;    // cached ones included
    int64_t cached_tokens;    // of these, taken from the cache
    int64_t thinking_tokens;  // markers not counted
    int64_t answer_tokens;    // the end marker not counted
    double prefill_s;         // seconds until the first token
    double decode_s;          // seconds from the first token to the end
};

// One step of a generation: some thinking, some answer, or the end. Copies share the borrowed text.
class Event {
  public:
    bool is_thinking() const noexcept { return raw_.kind == PONDER_EVENT_THINKING; }
    bool is_answer() const noexcept { return raw_.kind == PONDER_EVENT_ANSWER; }
    bool is_done() const noexcept { return raw_.kind == PONDER_EVENT_DONE; }
    // Whole UTF-8 sequences; empty for the end. Borrowed until the next call on the Generation.
    std::string_view text() const noexcept { return raw_.text ? std::string_view(raw_.text, raw_.text_size) : std::string_view(); }
    // Of the end only (is_done()); otherwise zeros.
    FinishReason finish_reason() const noexcept { return static_cast<FinishReason>(raw_.finish_reason); }
    Usage usage() const noexcept {
        return {raw_.prompt_tokens, raw_.cached_tokens, raw_.thinking_tokens, raw_.answer_tokens, raw_.prefill_s, raw_.decode_s};
    }

  private:
    friend class Generation;
    ponder_event raw_ = PONDER_EVENT_INIT;
};

// An answer under way, as a range of events to be read once. The last event is the one that is_done(). Its own thread does the
// work, inside next() or the loop's step. Destroying it early keeps what was said so far in the session's conversation.
class Generation {
  public:
    class Iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = Event;
        using difference_type = std::ptrdiff_t;

        const Event& operator*() const noexcept { return generation_->event_; }
        const Event* operator->() const noexcept { return &generation_->event_; }
        Iterator& operator++() {
            if (generation_->is_done())
                generation_ = nullptr;
            else
                generation_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const noexcept { return generation_ == nullptr; }

      private:
        friend class Generation;
        explicit Iterator(Generation* generation) noexcept : generation_(generation) {}
        Generation* generation_;  // null: behind the last event
    };

    // Waits for the next event; after the end, gives the end again. The reference holds until the next call.
    const Event& next() {
        ponder_error err;
        const ponder_status status = ponder_generation_next(handle_.get(), &event_.raw_, &err);
        progress_->rethrow();
        detail::check(status, err);
        return event_;
    }
    // Computes the next event; nothing is left to iterate once the end was seen. Iterators do not survive moving the Generation.
    Iterator begin() {
        if (is_done()) return Iterator(nullptr);
        next();
        return Iterator(this);
    }
    std::default_sentinel_t end() const noexcept { return {}; }

    bool is_done() const noexcept { return event_.is_done(); }
    // The event that next() or the loop gave last; after the loop, the end with its finish_reason() and usage().
    const Event& last() const noexcept { return event_; }
    // Runs to the end and returns the rest of the answer, without the thinking.
    std::string answer() {
        std::string text;
        for (const Event& event : *this)
            if (event.is_answer()) text += event.text();
        return text;
    }
    ponder_generation* get() const noexcept { return handle_.get(); }

  private:
    friend class Session;
    using ProgressPointer = std::unique_ptr<detail::Progress>;
    Generation(ponder_generation* handle, ProgressPointer progress) : progress_(std::move(progress)), handle_(handle) {}

    ProgressPointer progress_;  // the C side keeps its address, so it stays in place when the Generation moves
    detail::Handle<ponder_generation, ponder_generation_destroy> handle_;
    Event event_;
};

class Model;

// A conversation and its cache of tokens. Made by Model::session.
class Session {
  public:
    // Adds `text` as the user's message to the session's own conversation and starts the answer. Returns at once.
    Generation ask(const std::string& text, const GenerationOptions& options = {}) {
        return start(options, [&](const ponder_generation_params* params, ponder_generation** out, ponder_error* err) {
            return ponder_session_ask(get(), detail::c_text(text, "text"), params, out, err);
        });
    }
    // Starts the answer to the caller's own messages; the session's conversation is neither used nor changed.
    Generation generate(std::span<const Message> messages, const GenerationOptions& options = {}) {
        std::vector<ponder_message> raw;
        raw.reserve(messages.size());
        for (const Message& message : messages) {
            ponder_message item = PONDER_MESSAGE_INIT;
            item.role = detail::c_text(message.role, "role");
            item.text = message.text.data();
            item.text_size = message.text.size();
            item.thinking = message.thinking ? message.thinking->data() : nullptr;
            item.thinking_size = message.thinking ? message.thinking->size() : 0;
            item.tool_calls_json = detail::c_text_or_null(message.tool_calls_json, "tool_calls_json");
            raw.push_back(item);
        }
        return start(options, [&](const ponder_generation_params* params, ponder_generation** out, ponder_error* err) {
            return ponder_session_generate(get(), raw.data(), raw.size(), params, out, err);
        });
    }
    // A second session with the same conversation and cache, shared until one of the two goes on. No generation is carried over.
    Session fork() const {
        ponder_session* handle = nullptr;
        ponder_error err;
        detail::check(ponder_session_fork(get(), &handle, &err), err);
        return Session(handle, n_vocab_);
    }
    // A second session with the same conversation on another model of the same vocabulary, whose cache is computed at once from the tokens:
    // where to go on after PONDER_STATUS_DEVICE_LOST. options.context 0: this session's; options.system must be empty.
    Session fork_to(const Model& model, const SessionOptions& options = {}) const;
    // The tokens that the cache holds.
    std::vector<int32_t> tokens() const {
        ponder_error err;
        std::vector<int32_t> tokens(static_cast<size_t>(info().n_tokens));
        size_t n = 0;
        detail::check(ponder_session_tokens(get(), tokens.data(), tokens.size(), &n, &err), err);
        tokens.resize(n);
        return tokens;
    }
    // Stops what the session is doing: a generation ends with FinishReason::kCancelled, evaluate throws PONDER_STATUS_CANCELLED.
    // Any thread, any time while the Session exists.
    void cancel() const noexcept { ponder_session_cancel(get()); }

    // Appends tokens to the cache; returns the logits of the last n_rows of them, [n_rows, n_vocab].
    std::vector<float> evaluate(std::span<const int32_t> tokens, size_t n_rows = 1) {
        if (n_rows > tokens.size()) throw Error(PONDER_STATUS_INVALID_ARGUMENT, "n_rows is more than the number of tokens");
        std::vector<float> logits(n_rows * n_vocab_);
        ponder_error err;
        detail::check(ponder_session_evaluate(get(), tokens.data(), tokens.size(), logits.data(), n_rows, &err), err);
        return logits;
    }
    // Forgets all cached tokens after the first n_keep.
    void rewind(int64_t n_keep) {
        ponder_error err;
        detail::check(ponder_session_rewind(get(), n_keep, &err), err);
    }
    ponder_session_info info() const {
        ponder_session_info info = PONDER_SESSION_INFO_INIT;
        ponder_error err;
        detail::check(ponder_session_describe(get(), &info, &err), err);
        return info;
    }
    ponder_session* get() const noexcept { return handle_.get(); }

  private:
    friend class Model;
    Session(ponder_session* handle, size_t n_vocab) : handle_(handle), n_vocab_(n_vocab) {}

    template <class Start>
    Generation start(const GenerationOptions& options, const Start& start_call) {
        auto progress = std::make_unique<detail::Progress>(detail::Progress{options.on_progress, nullptr});
        std::vector<const char*> stops;
        const ponder_generation_params params = detail::generation_params(options, stops, *progress);
        ponder_generation* handle = nullptr;
        ponder_error err;
        detail::check(start_call(&params, &handle, &err), err);
        return Generation(handle, std::move(progress));
    }

    detail::Handle<ponder_session, ponder_session_destroy> handle_;
    size_t n_vocab_;
};

// The tokenizer and the chat template of a model, a tokenizer.json or a ".jinja" file.
class Text {
  public:
    static Text open(const std::string& path) {
        ponder_text* handle = nullptr;
        ponder_error err;
        detail::check(ponder_text_open(detail::c_text(path, "path"), &handle, &err), err);
        return Text(handle);
    }
    std::vector<int32_t> tokenize(std::string_view bytes, const TokenizeOptions& options = {}) const {
        uint32_t flags = 0;
        if (options.special) flags |= PONDER_TOKENIZE_SPECIAL;
        if (options.bos) flags |= PONDER_TOKENIZE_BOS;
        return detail::fill_buffer<std::vector<int32_t>>(
            bytes.size() / 2 + 8, [&](int32_t* tokens, size_t n, size_t* needed, ponder_error* err) {
                return ponder_text_tokenize(get(), bytes.data(), bytes.size(), flags, tokens, n, needed, err);
            });
    }
    // Incomplete UTF-8 becomes U+FFFD.
    std::string detokenize(std::span<const int32_t> tokens) const {
        return detail::fill_buffer<std::string>(tokens.size() * 6 + 8, [&](char* buffer, size_t n, size_t* needed, ponder_error* err) {
            return ponder_text_detokenize(get(), tokens.data(), tokens.size(), buffer, n, needed, err);
        });
    }
    // The chat template on a JSON object of its variables: {"messages":[...],"add_generation_prompt":true,...}.
    std::string render(std::string_view context_json) const {
        return detail::fill_buffer<std::string>(context_json.size() + 256, [&](char* buffer, size_t n, size_t* needed, ponder_error* err) {
            return ponder_text_render(get(), context_json.data(), context_json.size(), buffer, n, needed, err);
        });
    }
    ponder_text_info info() const {
        ponder_text_info info = PONDER_TEXT_INFO_INIT;
        ponder_error err;
        detail::check(ponder_text_describe(get(), &info, &err), err);
        return info;
    }
    ponder_text* get() const noexcept { return handle_.get(); }

  private:
    friend class Model;
    explicit Text(ponder_text* handle) noexcept : handle_(handle) {}
    detail::Handle<ponder_text, ponder_text_close> handle_;
};

// One batch item of Model::evaluate; the pointed-to session, tokens and logits stay the caller's.
struct Evaluation {
    Session* session = nullptr;
    std::span<const int32_t> tokens{};
    std::span<float> logits{};  // [n_rows, n_vocab]
    size_t n_rows = 0;          // logits of the last n_rows tokens
};

// An opened model: immutable, shared by any number of sessions and threads.
class Model {
  public:
    // The first file of a split model stands for all. Progress: Stage::kOpen, Stage::kPrepare.
    static Model open(const std::string& path, const ModelOptions& options = {}) {
        detail::Progress progress{options.on_progress, nullptr};
        detail::Placement placement;
        const ponder_model_params params = detail::model_params(options, progress, placement);
        ponder_model* handle = nullptr;
        ponder_error err;
        const ponder_status status = ponder_model_open(detail::c_text(path, "path"), &params, &handle, &err);
        Model model(handle);
        progress.rethrow();
        detail::check(status, err);
        return model;
    }
    Session session(const SessionOptions& options = {}) const {
        const ponder_session_params params = detail::session_params(options);
        ponder_session* handle = nullptr;
        ponder_error err;
        detail::check(ponder_session_create(get(), &params, &handle, &err), err);
        Session session(handle, 0);
        session.n_vocab_ = static_cast<size_t>(info().n_vocab);
        return session;
    }
    // Several different sessions of this model as one batch, so that each weight is read once for all. All or nothing.
    void evaluate(std::span<const Evaluation> items) const {
        const size_t n_vocab = static_cast<size_t>(info().n_vocab);
        std::vector<ponder_evaluation> raw;
        raw.reserve(items.size());
        for (const Evaluation& item : items) {
            if (item.logits.size() / n_vocab < item.n_rows)
                throw Error(PONDER_STATUS_INVALID_ARGUMENT, "logits hold fewer than n_rows rows");
            ponder_evaluation entry = PONDER_EVALUATION_INIT;
            entry.session = item.session ? item.session->get() : nullptr;
            entry.tokens = item.tokens.data();
            entry.n = item.tokens.size();
            entry.logits = item.logits.data();
            entry.n_rows = item.n_rows;
            raw.push_back(entry);
        }
        ponder_error err;
        detail::check(ponder_model_evaluate(get(), raw.data(), raw.size(), &err), err);
    }
    // Lives on its own: the Model may go first.
    Text text() const { return Text(ponder_model_text(get())); }
    // The strings inside are borrowed until the Model is destroyed.
    ponder_model_info info() const {
        ponder_model_info info = PONDER_MODEL_INFO_INIT;
        ponder_error err;
        detail::check(ponder_model_describe(get(), &info, &err), err);
        return info;
    }
    // What reading experts from the file has done since the model was opened; any thread, at any time.
    ponder_streaming_info streaming_info() const {
        ponder_streaming_info info = PONDER_STREAMING_INFO_INIT;
        ponder_error err;
        detail::check(ponder_model_describe_streaming(get(), &info, &err), err);
        return info;
    }
    // What the device compiled, for ModelOptions::device_cache of the next process; empty if it keeps nothing (ponder_cache.h).
    std::vector<std::byte> device_cache() const {
        return detail::fill_buffer<std::vector<std::byte>>(0, [&](std::byte* buffer, size_t n, size_t* needed, ponder_error* err) {
            return ponder_model_device_cache(get(), buffer, n, needed, err);
        });
    }
    ponder_model* get() const noexcept { return handle_.get(); }

  private:
    explicit Model(ponder_model* handle) noexcept : handle_(handle) {}
    detail::Handle<ponder_model, ponder_model_close> handle_;
};

inline Session Session::fork_to(const Model& model, const SessionOptions& options) const {
    const ponder_session_params params = detail::session_params(options);
    ponder_session* handle = nullptr;
    ponder_error err;
    detail::check(ponder_session_fork_to(get(), model.get(), &params, &handle, &err), err);
    return Session(handle, n_vocab_);
}

}  // namespace api
}  // namespace ponder

#include "ponder_files.hpp"

#endif  // PONDER_PONDER_HPP
