// SPDX-License-Identifier: Apache-2.0
// C ABI: sessions and token-level evaluation.
#include "capi/guard.hpp"
#include "capi/handles.hpp"

using ponder::make_error;
using ponder::Result;
using ponder::capi::fill_buffer;
using ponder::capi::guard;
using ponder::capi::require;
using ponder::capi::SessionClaim;
using ponder::capi::to_session_options;
using ponder::capi::write_struct;

extern "C" {

PONDER_API ponder_status ponder_session_create(ponder_model* model, const ponder_session_params* params, ponder_session** out,
                                               ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("model and out", model, out); !given) return given;
        const auto options = to_session_options(params);
        if (!options) return options.error();
        auto session = ponder::Session::create(model->impl, *options);
        if (!session) return session.error();
        *out = new ponder_session{std::move(*session)};
        return {};
    });
}

PONDER_API ponder_status ponder_session_fork(ponder_session* session, ponder_session** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("session and out", session, out); !given) return given;
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        auto copy = session->impl->fork();
        if (!copy) return copy.error();
        *out = new ponder_session{std::move(*copy)};
        return {};
    });
}

PONDER_API ponder_status ponder_session_fork_to(ponder_session* session, ponder_model* model, const ponder_session_params* params,
                                                ponder_session** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("session, model and out", session, model, out); !given) return given;
        const auto options = to_session_options(params);
        if (!options) return options.error();
        if (options->system) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "system must be NULL: the conversation has its own");
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        auto copy = session->impl->fork_to(model->impl, *options);
        if (!copy) return copy.error();
        *out = new ponder_session{std::move(*copy)};
        return {};
    });
}

PONDER_API ponder_status ponder_session_tokens(ponder_session* session, int32_t* tokens, size_t capacity, size_t* n_needed,
                                               ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (n_needed != nullptr) *n_needed = 0;
        if (auto given = require("session and n_needed", session, n_needed); !given) return given;
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        const auto& held = session->impl->tokens();
        return fill_buffer(held.data(), held.size(), tokens, capacity, n_needed);
    });
}

PONDER_API void ponder_session_destroy(ponder_session* session) { delete session; }

PONDER_API ponder_status ponder_session_describe(ponder_session* session, ponder_session_info* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("session", session); !given) return given;
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        const ponder_session_info info{.struct_size = sizeof info,
                                       .context = session->impl->context(),
                                       .n_tokens = session->impl->n_tokens(),
                                       .kv_bytes = session->impl->kv_bytes(),
                                       .n_messages = static_cast<int64_t>(session->impl->messages().size())};
        return write_struct(info, out, "out");
    });
}

PONDER_API void ponder_session_cancel(ponder_session* session) {
    if (session != nullptr) session->impl->cancel();
}

PONDER_API ponder_status ponder_session_evaluate(ponder_session* session, const int32_t* tokens, size_t n, float* logits, size_t n_rows,
                                                 ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("session", session); !given) return given;
        if (tokens == nullptr && n > 0) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "tokens must not be NULL");
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        session->impl->begin_operation();
        return session->impl->evaluate({tokens, n}, logits, n_rows, {});
    });
}

PONDER_API ponder_status ponder_session_rewind(ponder_session* session, int64_t n_keep, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("session", session); !given) return given;
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        session->impl->begin_operation();
        return session->impl->rewind(n_keep);
    });
}

}  // extern "C"
