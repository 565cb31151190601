// SPDX-License-Identifier: Apache-2.0
// Streaming edges of thoughts and answers.
#include "runtime/answer_text.hpp"

#include <algorithm>
#include <utility>

namespace ponder {

namespace {

constexpr const char* kBlanks = " \t\r\n";

// Length of the longest suffix of text that begins one of the stops without being all of it.
size_t partial_stop(const std::string& text, const std::vector<std::string>& stops) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
        for (size_t n = std::min(text.size(), stop.size() - 1); n > longest; n--) {
            if (text.compare(text.size() - n, n, stop, 0, n) == 0) longest = n;
        }
    }
    return longest;
}

}  // namespace

std::string ThoughtText::trim(std::string text) {
    if (!has_begun_) text.erase(0, std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.empty()) return text;
    has_begun_ = true;
    text.insert(0, std::exchange(held_, {}));
    const size_t last = text.find_last_not_of(kBlanks);
    const size_t keep = last == std::string::npos ? 0 : last + 1;
    held_ = text.substr(keep);
    text.resize(keep);
    return text;
}

std::string ThoughtText::push(std::string_view bytes) { return trim(utf8_.push(bytes)); }

std::string ThoughtText::finish() { return trim(utf8_.flush()); }

std::string AnswerText::cut(std::string text) {
    if (has_stopped_) return {};
    if (is_skipping_) {
        text.erase(0, std::min(text.find_first_not_of(kBlanks), text.size()));
        is_skipping_ = text.empty();
    }
    text.insert(0, std::exchange(held_, {}));
    size_t first = std::string::npos;
    for (const std::string& stop : stops_) first = std::min(first, text.find(stop));
    if (first != std::string::npos) {
        has_stopped_ = true;
        text.resize(first);
        return text;
    }
    const size_t n_held = partial_stop(text, stops_);
    held_ = text.substr(text.size() - n_held);
    text.resize(text.size() - n_held);
    return text;
}

std::string AnswerText::push(std::string_view bytes) { return cut(utf8_.push(bytes)); }

std::string AnswerText::finish() {
    std::string rest = cut(utf8_.flush());
    if (!has_stopped_) rest += std::exchange(held_, {});
    return rest;
}

}  // namespace ponder
