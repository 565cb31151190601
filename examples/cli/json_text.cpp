// SPDX-License-Identifier: Apache-2.0
// Implementation of JSON text for the tool.
#include "json_text.hpp"

#include <algorithm>
#include <vector>

#include "failure.hpp"

namespace ponder::tool {
namespace {

constexpr int kMaxDepth = 256;
// Objects keep their order and are searched from the front, so the time to build one grows with the square of this.
constexpr size_t kMaxMembers = 10'000;

// Deepest nesting of brackets outside strings. Writing a value recurses, so a line must be refused before it becomes one.
int nesting_depth(std::string_view text) {
    int depth = 0;
    int deepest = 0;
    bool is_in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (is_in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                is_in_string = false;
            }
        } else if (c == '"') {
            is_in_string = true;
        } else if (c == '[' || c == '{') {
            deepest = std::max(deepest, ++depth);
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return deepest;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    size_t found = text.find(from);
    if (found == std::string::npos) return;
    std::string result;
    size_t copied = 0;
    for (; found != std::string::npos; found = text.find(from, copied)) {
        result.append(text, copied, found - copied).append(to);
        copied = found + from.size();
    }
    text = result.append(text, copied);
}

}  // namespace

std::string to_json_line(const Json& value) {
    std::string line = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    // Many readers of lines take these three for line ends, too; outside ASCII they occur in strings only.
    replace_all(line, "\xc2\x85", "\\u0085");
    replace_all(line, "\xe2\x80\xa8", "\\u2028");
    replace_all(line, "\xe2\x80\xa9", "\\u2029");
    return line;
}

std::string to_json_string(std::string_view text) { return to_json_line(Json(text)); }

Json parse_json(std::string_view text) {
    if (nesting_depth(text) > kMaxDepth) fail("JSON nested deeper than the limit of %d", kMaxDepth);
    std::vector<size_t> n_members;  // of each open object
    const auto count_members = [&n_members](int, Json::parse_event_t event, const Json&) {
        if (event == Json::parse_event_t::object_start) n_members.push_back(0);
        if (event == Json::parse_event_t::object_end) n_members.pop_back();
        if (event == Json::parse_event_t::key && ++n_members.back() > kMaxMembers) {
            fail("JSON object with more than the limit of %zu members", kMaxMembers);
        }
        return true;
    };
    try {
        return Json::parse(text, count_members);
    } catch (const nlohmann::json::exception& problem) {
        // The library's message starts with its own error number in brackets, which means nothing to a user.
        std::string_view message = problem.what();
        if (const size_t bracket = message.find("] "); bracket != std::string_view::npos) message.remove_prefix(bracket + 2);
        throw Failure{"malformed JSON: " + std::string(message)};
    }
}

}  // namespace ponder::tool
