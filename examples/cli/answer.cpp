// SPDX-License-Identifier: Apache-2.0
// Implementation of answers: the event loop and the two ways of printing.
#include "answer.hpp"

#include <cstdio>

#include "failure.hpp"
#include "handles.hpp"
#include "interrupt.hpp"
#include "json_text.hpp"

namespace ponder::tool {
namespace {

const char* finish_name(int32_t reason) {
    switch (reason) {
        case PONDER_FINISH_STOP:
            return "stop";
        case PONDER_FINISH_LENGTH:
            return "length";
        case PONDER_FINISH_BUDGET:
            return "budget";
        case PONDER_FINISH_CANCELLED:
            return "cancelled";
        default:
            return "unknown";
    }
}

std::string done_line(const ponder_event& done, std::optional<double> load_s) {
    Json timing = Json::object();
    if (load_s) timing["load_s"] = *load_s;
    timing["prefill_s"] = done.prefill_s;
    timing["decode_s"] = done.decode_s;
    return to_json_line(Json{
        {"type", "done"},
        {"finish_reason", finish_name(done.finish_reason)},
        {"usage",
         {{"prompt_tokens", done.prompt_tokens}, {"thinking_tokens", done.thinking_tokens}, {"answer_tokens", done.answer_tokens}}},
        {"timing", std::move(timing)},
    });
}

void print_speed(const ponder_event& done) {
    if (!stderr_is_terminal()) return;
    const int64_t n_generated = done.thinking_tokens + done.answer_tokens;
    const double speed = done.decode_s > 0 ? static_cast<double>(n_generated) / done.decode_s : 0;
    const bool has_style = allows_style();
    std::fprintf(stderr, "%s[%lld tokens, %.1f tokens/s; prompt of %lld in %.2f s%s]%s\n", has_style ? kDim.data() : "",
                 static_cast<long long>(n_generated), speed, static_cast<long long>(done.prompt_tokens), done.prefill_s,
                 done.finish_reason == PONDER_FINISH_LENGTH ? "; cut at its token limit" : "", has_style ? kPlain.data() : "");
}

}  // namespace

AnswerPrinter::AnswerPrinter(bool is_json, bool hides_thinking, ProgressBar& bar)
    : is_json_(is_json), hides_thinking_(hides_thinking), uses_style_(stdout_is_terminal() && allows_style()), bar_(bar) {}

AnswerPrinter::~AnswerPrinter() {
    // After a failure in the middle of a thought the terminal must not stay dim; nothing can be reported from here.
    if (!is_dim_) return;
    std::fwrite(kPlain.data(), 1, kPlain.size(), stdout);
    std::fflush(stdout);
}

void AnswerPrinter::print(bool is_thinking, std::string_view text) {
    if (text.empty() || (is_thinking && hides_thinking_)) return;
    bar_.clear();
    if (is_json_) {
        write_out(to_json_line(Json{{"type", is_thinking ? "thinking" : "answer"}, {"text", text}}).append("\n"));
    } else {
        print_plain(is_thinking, text);
    }
    flush_out();  // a reader behind a pipe wants to see the words as they come, too
}

void AnswerPrinter::print_plain(bool is_thinking, std::string_view text) {
    if (was_thinking_ && !is_thinking) {
        set_dim(false);
        if (!ends_in_newline_) write_out("\n");
    }
    if (is_thinking) set_dim(true);
    write_out(shown_text(text));
    was_thinking_ = is_thinking;
    ends_in_newline_ = text.back() == '\n';
}

void AnswerPrinter::finish(const ponder_event& done, std::optional<double> load_s) {
    bar_.clear();
    if (is_json_) {
        write_out(done_line(done, load_s).append("\n"));
    } else {
        set_dim(false);
        if (!ends_in_newline_) write_out("\n");
    }
    flush_out();
    was_thinking_ = ends_in_newline_ = false;
    if (!is_json_) print_speed(done);
}

void AnswerPrinter::set_dim(bool is_dim) {
    if (!uses_style_ || is_dim == is_dim_) return;
    write_out(is_dim ? kDim : kPlain);
    is_dim_ = is_dim;
}

Answer generate_answer(ponder_session* session, const std::vector<Message>& messages, const ponder_generation_params& params,
                       AnswerPrinter& printer) {
    std::vector<ponder_message> views;
    for (const Message& message : messages) {
        ponder_message view = PONDER_MESSAGE_INIT;
        view.role = message.role.c_str();
        view.text = message.content.data();
        view.text_size = message.content.size();
        view.thinking = message.thinking.empty() ? nullptr : message.thinking.data();
        view.thinking_size = message.thinking.size();
        views.push_back(view);
    }
    ponder_error error;
    ponder_generation* started = nullptr;
    check(ponder_session_generate(session, views.data(), views.size(), &params, &started, &error), error);
    const GenerationHandle generation(started);
    const CancelOnInterrupt canceller({session});

    Answer answer{{}, {}, PONDER_EVENT_INIT};
    while (true) {
        ponder_event event = PONDER_EVENT_INIT;
        const ponder_status status = ponder_generation_next(generation.get(), &event, &error);
        if (status == PONDER_STATUS_CANCELLED) {
            // The progress callback stopped the reading of the prompt: the same end as a cancelled session's.
            event.kind = PONDER_EVENT_DONE;
            event.finish_reason = PONDER_FINISH_CANCELLED;
        } else {
            check(status, error);
        }
        if (event.kind == PONDER_EVENT_DONE) {
            answer.done = event;
            return answer;
        }
        if (event.kind != PONDER_EVENT_THINKING && event.kind != PONDER_EVENT_ANSWER) continue;
        const bool is_thinking = event.kind == PONDER_EVENT_THINKING;
        const std::string_view text(event.text, event.text_size);
        (is_thinking ? answer.thinking : answer.text).append(text);
        printer.print(is_thinking, text);
    }
}

}  // namespace ponder::tool
