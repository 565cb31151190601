// SPDX-License-Identifier: Apache-2.0
// Turns token bytes into event text: whole UTF-8 sequences, stop strings held back, blank edges of thoughts trimmed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.hpp"

namespace ponder {

// A thought's text: blank space at its start and end belongs to the template, not to the thought.
class ThoughtText {
  public:
    std::string push(std::string_view bytes);
    std::string finish();

  private:
    std::string trim(std::string text);

    Utf8Stream utf8_;
    std::string held_;  // blank space that is dropped if the thought ends with it
    bool has_begun_ = false;
};

// An answer's text, up to the first stop string.
class AnswerText {
  public:
    AnswerText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

    // From now on, blank space is skipped until something else comes: what separates a thought from its answer.
    void skip_blanks() { is_skipping_ = true; }
    std::string push(std::string_view bytes);
    // The rest, when no more bytes come.
    std::string finish();
    bool has_stopped() const { return has_stopped_; }

  private:
    std::string cut(std::string text);

    std::vector<std::string> stops_;
    Utf8Stream utf8_;
    std::string held_;  // may be the start of a stop string
    bool is_skipping_ = false, has_stopped_ = false;
};

}  // namespace ponder
