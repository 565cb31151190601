// SPDX-License-Identifier: Apache-2.0
// Probing of chat templates.
#include "text/template_facts.hpp"

#include <algorithm>
#include <utility>

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

std::string_view without_trailing_space(std::string_view text) {
    const size_t last = text.find_last_not_of(" \t\r\n");
    return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

Json question(const char* text) { return {{"role", "user"}, {"content", text}}; }

Json make_context(Json messages) {
    return {{"messages", std::move(messages)}, {"add_generation_prompt", true}, {"bos_token", ""}, {"eos_token", ""}};
}

std::string render_or_empty(const ChatTemplate& chat_template, const Json& context, const RenderOptions& options) {
    Result<ChatTemplate::Rendered> rendered = chat_template.render(context, options);
    return rendered ? std::move(rendered->text) : std::string();
}

// A word that no template contains.
constexpr const char* kProbe = "ponderprobe";

// The answer's own word must be there, else the template shows nothing of earlier turns and nothing can be said.
bool drops_thought(const ChatTemplate& chat_template, const Json& answer, const RenderOptions& options) {
    const Json context = make_context(Json::array({question("a"), answer, question("b")}));
    const std::string text = render_or_empty(chat_template, context, options);
    return text.find("visibleanswer") != std::string::npos && text.find(kProbe) == std::string::npos;
}

}  // namespace

bool opens_thought(std::string_view rendered, const ThoughtMarks& marks) {
    return !marks.open.empty() && without_trailing_space(rendered).ends_with(marks.open);
}

bool opens_thought(const ChatTemplate::Rendered& rendered, const ThoughtMarks& marks) {
    if (!opens_thought(rendered.text, marks)) return false;
    const size_t end = without_trailing_space(rendered.text).size(), begin = end - marks.open.size();
    return std::none_of(rendered.untrusted.begin(), rendered.untrusted.end(),
                        [&](const TextSpan& span) { return span.begin < end && begin < span.end; });
}

bool closes_thought(std::string_view rendered, const ThoughtMarks& marks) {
    return !marks.close.empty() && without_trailing_space(rendered).ends_with(marks.close);
}

TemplateFacts probe_template(const ChatTemplate& chat_template, const RenderOptions& options, const ThoughtMarks& marks) {
    TemplateFacts facts;
    Json context = make_context(Json::array({question("a")}));
    facts.opens_thought = opens_thought(render_or_empty(chat_template, context, options), marks);
    const auto render_with = [&](bool is_thinking) {
        context["enable_thinking"] = is_thinking;
        context["thinking"] = is_thinking;
        return render_or_empty(chat_template, context, options);
    };
    facts.opens_thought_on_request = opens_thought(render_with(true), marks);
    facts.takes_thinking_off = closes_thought(render_with(false), marks);

    const std::string inline_thought = marks.open + kProbe + marks.close + "visibleanswer";
    const Json with_inline = {{"role", "assistant"}, {"content", inline_thought}};
    const Json with_field = {{"role", "assistant"}, {"content", "visibleanswer"}, {"reasoning_content", kProbe}};
    facts.drops_earlier_thoughts = drops_thought(chat_template, with_inline, options) && drops_thought(chat_template, with_field, options);

    Json with_tools = make_context(Json::array({question("a")}));
    with_tools["tools"] =
        Json::array({{{"type", "function"}, {"function", {{"name", kProbe}, {"description", ""}, {"parameters", {{"type", "object"}}}}}}});
    facts.prints_tools = render_or_empty(chat_template, with_tools, options).find(kProbe) != std::string::npos;
    return facts;
}

}  // namespace ponder
