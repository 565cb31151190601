// SPDX-License-Identifier: Apache-2.0
// What a chat template does with thoughts, found by rendering small conversations rather than by knowing its name.
#pragma once

#include <string>
#include <string_view>

#include "text/template.hpp"

namespace ponder {

// How a model writes its thoughts; DeepSeek-R1's and Qwen's words are the default.
struct ThoughtMarks {
    std::string open = "<think>";
    std::string close = "</think>";
};

struct TemplateFacts {
    // The prompt for an answer ends inside a thought: the model's first token is already thinking.
    bool opens_thought = false;

    // The same where the caller asks for thinking by enable_thinking = true and thinking = true (DeepSeek-V3.1 needs to be asked).
    bool opens_thought_on_request = false;

    // With enable_thinking = false and thinking = false the prompt ends behind a closed empty thought (or behind its closing mark alone),
    // so that the model answers at once.
    bool takes_thinking_off = false;

    // The thought of an earlier answer, whether written inside its content or as reasoning_content, is not in the next prompt.
    bool drops_earlier_thoughts = false;

    // The template has something to say about tools: a tool's name given in `tools` appears in the prompt.
    bool prints_tools = false;
};

// True if a rendered prompt ends with the opening mark, perhaps followed by whitespace. The runtime asks this of each actual prompt,
// because options and the last message may change what the template does.
bool opens_thought(std::string_view rendered, const ThoughtMarks& marks = {});

// The same, but a mark that a user wrote (one with an untrusted byte) opens nothing.
bool opens_thought(const ChatTemplate::Rendered& rendered, const ThoughtMarks& marks = {});

// True if a rendered prompt ends with the closing mark, perhaps followed by whitespace.
bool closes_thought(std::string_view rendered, const ThoughtMarks& marks = {});

// Never fails: a probe that the template refuses to render leaves its facts false.
TemplateFacts probe_template(const ChatTemplate& chat_template, const RenderOptions& options = {}, const ThoughtMarks& marks = {});

}  // namespace ponder
