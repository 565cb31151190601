// SPDX-License-Identifier: Apache-2.0
// Chat templates: the Jinja that model files carry, rendered with a record of which bytes came from the caller's strings.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/text_span.hpp"

namespace ponder {

struct RenderOptions {
    // Top-level variables of the context whose strings count as the template's own (the model file gave them, not a user).
    std::vector<std::string> trusted_variables = {"bos_token", "eos_token", "pad_token", "unk_token"};

    // Literal texts that count as the template's own where they occur in strings of a message with role "assistant": an earlier
    // answer may bring its "<think>" and "</think>" back. Matched left to right, earlier entries first, without overlap.
    std::vector<std::string> trusted_in_assistant;

    // What strftime_now prints; the machine's local time at the call to render() if not set.
    std::optional<std::tm> local_time;
};

// A parsed template. Immutable: any number of threads may render it at the same time, each render with its own state.
class ChatTemplate {
  public:
    struct Rendered {
        std::string text;

        // Byte ranges of `text` that came, wholly or partly, from strings of the context that no option made trusted: sorted, disjoint,
        // not touching. Whoever turns the text into tokens must not recognise special tokens inside them, so that what a user typed
        // can never become a role marker. Numbers and the words that print for true, false and none are the template's own.
        std::vector<TextSpan> untrusted;
    };

    // Syntax and whitespace rules are Jinja2's with trim_blocks, lstrip_blocks and loop controls, as Hugging Face sets them.
    // Errors: PONDER_STATUS_TEMPLATE (malformed; the message has the line), PONDER_STATUS_LIMIT (kMaxTemplateBytes, kMaxTemplateDepth).
    static Result<ChatTemplate> parse(std::string_view source);

    // context: an object; its members are the template's variables (messages, tools, add_generation_prompt, ...), key order is kept.
    // Errors: PONDER_STATUS_INVALID_ARGUMENT (context is not an object), PONDER_STATUS_TEMPLATE (raise_exception or a type error; the
    // message has the line), PONDER_STATUS_LIMIT (kMaxTemplate*: steps, output, memory, depth; kMaxJsonDepth of the context).
    Result<Rendered> render(const nlohmann::ordered_json& context, const RenderOptions& options = {}) const;

    ChatTemplate(ChatTemplate&&) noexcept;
    ChatTemplate& operator=(ChatTemplate&&) noexcept;
    ~ChatTemplate();

  private:
    struct Program;
    explicit ChatTemplate(std::unique_ptr<const Program> program);

    std::unique_ptr<const Program> program_;
};

}  // namespace ponder
