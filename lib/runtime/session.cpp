// SPDX-License-Identifier: Apache-2.0
// Keeps a session's token list and cache in step.
#include "runtime/session.hpp"

#include <algorithm>
#include <memory_resource>
#include <utility>

#include "base/limits.hpp"

namespace ponder {

Result<int32_t> Session::choose_context(const HyperParameters& model, const SessionOptions& options) {
    const int64_t context = options.context > 0 ? options.context : std::min<int64_t>(model.context_length, kDefaultContext);
    if (context > limits::kMaxContext) {
        return make_error(PONDER_STATUS_LIMIT, "context %lld is over the limit of %lld", static_cast<long long>(context),
                          static_cast<long long>(limits::kMaxContext));
    }
    return static_cast<int32_t>(context);
}

Result<std::shared_ptr<Session>> Session::create(std::shared_ptr<Model> model, const SessionOptions& options) {
    const auto context = choose_context(model->hyper_parameters(), options);
    if (!context) return context.error();
    auto executor = model->executor(options.kv_type.value_or(model->kv_type()));
    if (!executor) return executor.error();
    if (auto expected = (*executor)->expect_context(*context); !expected) return expected.error();
    std::shared_ptr<Session> session(new Session(std::move(model), *executor, *context));
    session->sequence_ = std::make_unique<KvSequence>((*executor)->kv_pool());
    if (options.system) session->messages_.push_back({.role = "system", .text = options.system});
    return session;
}

Result<std::shared_ptr<Session>> Session::fork() const {
    std::shared_ptr<Session> copy(new Session(model_, executor_, context_));
    copy->sequence_ = sequence_->fork();
    copy->tokens_ = tokens_;
    copy->unread_token_ = unread_token_;
    copy->messages_ = messages_;
    return copy;
}

Result<std::shared_ptr<Session>> Session::fork_to(std::shared_ptr<Model> model, SessionOptions options) {
    constexpr size_t kPiece = 512;
    const int64_t n_vocab = model_->hyper_parameters().n_vocab, other = model->hyper_parameters().n_vocab;
    if (n_vocab != other) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "the session's vocabulary has %lld tokens, the other model's %lld",
                          static_cast<long long>(n_vocab), static_cast<long long>(other));
    }
    if (options.context == 0) options.context = context_;
    auto copy = create(std::move(model), options);
    if (!copy) return copy;
    (*copy)->messages_ = messages_;
    // The copy is nobody's yet: a cancel comes to this session.
    is_cancelled_.store(false, std::memory_order_relaxed);
    for (auto rest = std::span<const int32_t>(tokens_); !rest.empty(); rest = rest.subspan(std::min(kPiece, rest.size()))) {
        if (is_cancelled_.load(std::memory_order_relaxed)) return make_error(PONDER_STATUS_CANCELLED, "cancelled");
        if (auto done = (*copy)->evaluate(rest.first(std::min(kPiece, rest.size())), nullptr, 0, {}); !done) return done.error();
    }
    (*copy)->unread_token_ = unread_token_;
    return copy;
}

void Session::begin_operation() {
    // Taken out first: ending clears what is stored.
    if (const auto abandon = std::exchange(abandon_live_generation_, nullptr)) abandon();
    is_cancelled_.store(false, std::memory_order_relaxed);
}

Result<void> Session::evaluate(std::span<const int32_t> tokens, float* logits, size_t n_rows, ProgressCallback progress,
                               const ponder_selection* selection) {
    const BatchItem item{this, tokens, logits, n_rows, selection};
    return evaluate_batch({&item, 1}, progress);
}

Result<void> Session::evaluate_batch(std::span<const BatchItem> items, ProgressCallback progress) {
    // Lists of a few sessions stay on the stack.
    std::byte memory[1024];
    std::pmr::monotonic_buffer_resource lists(memory, sizeof memory);
    std::pmr::vector<EvaluateItem> work(&lists);
    std::pmr::vector<const std::atomic<bool>*> cancelled(&lists);
    work.reserve(items.size());
    cancelled.reserve(items.size());
    for (const BatchItem& item : items) {
        const Session& session = *item.session;
        if (item.n_rows > item.tokens.size() || (item.n_rows > 0 && item.logits == nullptr)) {
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "logits of %zu rows were asked for %zu tokens", item.n_rows,
                              item.tokens.size());
        }
        if (static_cast<uint64_t>(session.n_tokens()) + item.tokens.size() > static_cast<uint64_t>(session.context_)) {
            return make_error(PONDER_STATUS_CONTEXT_FULL, "%zu tokens do not fit: the session holds %lld of %d", item.tokens.size(),
                              static_cast<long long>(session.n_tokens()), session.context_);
        }
        const int64_t n_vocab = session.model_->hyper_parameters().n_vocab;
        for (const int32_t token : item.tokens) {
            if (token < 0 || token >= n_vocab) {
                return make_error(PONDER_STATUS_INVALID_ARGUMENT, "token %d is outside of the vocabulary of %lld", token,
                                  static_cast<long long>(n_vocab));
            }
        }
        if (session.executor_ != items[0].session->executor_) {
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "sessions of another model or cache type cannot share a batch");
        }
        work.push_back({session.sequence_.get(), item.tokens, item.logits, item.n_rows, item.n_rows == 1 ? item.selection : nullptr});
        cancelled.push_back(&session.is_cancelled_);
        // Room now, so that nothing fails once the cache has grown; doubled, because decoding comes with one token at a time.
        std::vector<int32_t>& tokens = item.session->tokens_;
        const size_t n_after = tokens.size() + item.tokens.size();
        if (n_after > tokens.capacity()) tokens.reserve(std::max(n_after, 2 * tokens.capacity()));
    }
    if (work.empty()) return {};
    WorkControl control(cancelled, progress, PONDER_STAGE_PREFILL);
    if (auto done = items[0].session->executor_->evaluate(work, control); !done) return done;
    for (const BatchItem& item : items) {
        item.session->tokens_.insert(item.session->tokens_.end(), item.tokens.begin(), item.tokens.end());
        if (!item.tokens.empty()) item.session->unread_token_.reset();
    }
    return {};
}

Result<void> Session::rewind(int64_t n_keep) {
    if (n_keep < 0 || n_keep > n_tokens()) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "cannot keep %lld tokens: the session holds %lld", static_cast<long long>(n_keep),
                          static_cast<long long>(n_tokens()));
    }
    sequence_->truncate(n_keep);
    tokens_.resize(static_cast<size_t>(n_keep));
    unread_token_.reset();
    return {};
}

int64_t Session::reuse_prefix(std::span<const int32_t> prompt) {
    const size_t most = prompt.empty() ? 0 : std::min(tokens_.size(), prompt.size() - 1);
    const auto end = std::mismatch(tokens_.begin(), tokens_.begin() + static_cast<ptrdiff_t>(most), prompt.begin()).first;
    const auto n_kept = static_cast<int64_t>(end - tokens_.begin());
    if (n_kept < n_tokens()) unread_token_.reset();
    sequence_->truncate(n_kept);
    tokens_.resize(static_cast<size_t>(n_kept));
    return n_kept;
}

}  // namespace ponder
