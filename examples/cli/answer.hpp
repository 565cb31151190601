// SPDX-License-Identifier: Apache-2.0
// One answer of the model: pulls a generation's events, prints them as text or JSON lines, keeps what was said.
#pragma once

#include <ponder/ponder.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "terminal.hpp"

namespace ponder::tool {

struct Message {
    std::string role;  // "system", "user", "assistant", "tool"
    std::string content;
    std::string thinking;
};

// How answers are printed. Text: thinking dimmed where stdout is a terminal, the answer on a line of its own, a line end at the end.
// JSON: one event a line.
class AnswerPrinter {
  public:
    AnswerPrinter(bool is_json, bool hides_thinking, ProgressBar& bar);
    ~AnswerPrinter();
    AnswerPrinter(const AnswerPrinter&) = delete;
    AnswerPrinter& operator=(const AnswerPrinter&) = delete;

    // A piece of text as it arrives. Throws Failure if it cannot be written.
    void print(bool is_thinking, std::string_view text);
    // The end of an answer; ready for the next one. load_s goes into the JSON event; nullopt leaves it out.
    void finish(const ponder_event& done, std::optional<double> load_s);

  private:
    void print_plain(bool is_thinking, std::string_view text);
    void set_dim(bool is_dim);

    const bool is_json_;
    const bool hides_thinking_;
    const bool uses_style_;
    ProgressBar& bar_;
    bool is_dim_ = false;
    bool was_thinking_ = false;
    bool ends_in_newline_ = false;
};

struct Answer {
    std::string thinking;
    std::string text;
    ponder_event done;  // its text is not valid any more
    bool is_cancelled() const { return done.finish_reason == PONDER_FINISH_CANCELLED; }
};

// Generates the answer to `messages` and prints it as it comes, without its end: call printer.finish. A signal ends it early (see
// Answer::is_cancelled). Throws Failure.
Answer generate_answer(ponder_session* session, const std::vector<Message>& messages, const ponder_generation_params& params,
                       AnswerPrinter& printer);

}  // namespace ponder::tool
