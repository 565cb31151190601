// SPDX-License-Identifier: Apache-2.0
// C ABI: generations.
#include <chrono>
#include <thread>

#include "base/limits.hpp"
#include "capi/guard.hpp"
#include "capi/handles.hpp"
#include "format/json.hpp"

using ponder::make_error;
using ponder::Result;
using ponder::capi::guard;
using ponder::capi::read_struct;
using ponder::capi::require;
using ponder::capi::require_zero;
using ponder::capi::SessionClaim;
using ponder::capi::to_generation_options;
using ponder::capi::write_struct;

namespace {

Result<std::vector<ponder::Message>> to_messages(const ponder_message* messages, size_t n) {
    if (n > ponder::limits::kMaxMessages) {
        return make_error(PONDER_STATUS_LIMIT, "%zu messages, the limit is %zu", n, ponder::limits::kMaxMessages);
    }
    std::vector<ponder::Message> result;
    const char* next = reinterpret_cast<const char*>(messages);
    for (size_t i = 0; i < n; i++) {
        const auto m = read_struct(reinterpret_cast<const ponder_message*>(next), "ponder_message");
        if (!m) return m.error();
        if (auto zero = require_zero(m->reserved, "ponder_message"); !zero) return zero.error();
        next += messages->struct_size;
        if (m->role == nullptr) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "messages[%zu].role must not be NULL", i);
        if ((m->text == nullptr && m->text_size > 0) || (m->thinking == nullptr && m->thinking_size > 0)) {
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "messages[%zu] has a text size without a text", i);
        }
        ponder::Message message{.role = m->role};
        if (m->text != nullptr) message.text.emplace(m->text, m->text_size);
        if (m->thinking != nullptr) message.thinking.emplace(m->thinking, m->thinking_size);
        if (m->tool_calls_json != nullptr) {
            auto calls = ponder::parse_ordered_json(m->tool_calls_json);
            if (!calls) return with_context(calls.error(), "messages[" + std::to_string(i) + "].tool_calls_json");
            message.tool_calls = std::move(*calls);
        }
        result.push_back(std::move(message));
    }
    return result;
}

}  // namespace

extern "C" {

PONDER_API ponder_status ponder_session_ask(ponder_session* session, const char* text, const ponder_generation_params* params,
                                            ponder_generation** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("session, text and out", session, text, out); !given) return given;
        auto options = to_generation_options(params, session->impl->model());
        if (!options) return options.error();
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        auto generation = ponder::Generation::ask(session->impl, text, std::move(*options));
        if (!generation) return generation.error();
        *out = new ponder_generation{std::move(*generation), {}};
        return {};
    });
}

PONDER_API ponder_status ponder_session_generate(ponder_session* session, const ponder_message* messages, size_t n,
                                                 const ponder_generation_params* params, ponder_generation** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("session, messages and out", session, messages, out); !given) return given;
        const auto parsed = to_messages(messages, n);
        if (!parsed) return parsed.error();
        auto options = to_generation_options(params, session->impl->model());
        if (!options) return options.error();
        const SessionClaim claim(*session->impl);
        if (!claim.is_held()) return SessionClaim::busy();
        auto generation = ponder::Generation::generate(session->impl, *parsed, std::move(*options));
        if (!generation) return generation.error();
        *out = new ponder_generation{std::move(*generation), {}};
        return {};
    });
}

PONDER_API ponder_status ponder_generation_next(ponder_generation* generation, ponder_event* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("generation and out", generation, out); !given) return given;
        const SessionClaim claim(*generation->impl->session());
        if (!claim.is_held()) return SessionClaim::busy();
        // A struct that cannot be filled must not cost an event.
        if (auto writable = write_struct(ponder_event{}, out, "out"); !writable) return writable;
        if (auto advanced = generation->impl->next(generation->event); !advanced) return advanced;
        const ponder::Event& event = generation->event;
        ponder_event result{.struct_size = sizeof result, .kind = event.kind, .text = event.text.data(), .text_size = event.text.size()};
        if (event.kind == PONDER_EVENT_DONE) {
            const ponder::Usage& usage = generation->impl->usage();
            result.finish_reason = generation->impl->finish_reason();
            result.prompt_tokens = usage.prompt_tokens;
            result.cached_tokens = usage.cached_tokens;
            result.thinking_tokens = usage.thinking_tokens;
            result.answer_tokens = usage.answer_tokens;
            result.prefill_s = usage.prefill_s;
            result.decode_s = usage.decode_s;
        }
        return write_struct(result, out, "out");
    });
}

PONDER_API void ponder_generation_destroy(ponder_generation* generation) {
    if (generation == nullptr) return;
    // Garbage-collected hosts destroy from any thread: wait until the session is between two calls.
    const auto session = generation->impl->session();
    while (!session->try_claim()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    delete generation;
    session->release_claim();
}

}  // extern "C"
