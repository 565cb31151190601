// SPDX-License-Identifier: Apache-2.0
// The chat template object: source to tree once, context to values and tree to text at each render.
#include "text/template.hpp"

#include <algorithm>
#include <utility>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "text/template_eval.hpp"
#include "text/template_parser.hpp"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;
using jinja::Runtime;
using jinja::Value;

enum class Trust { kNone, kAssistant, kAll };

// Turns the context into values. Strings share the context's bytes.
class ContextReader {
  public:
    ContextReader(Runtime& runtime, const RenderOptions& options) : runtime_(runtime), options_(options) {}

    jinja::Frame* read(const Json& context) {
        jinja::Frame* frame = runtime_.make<jinja::Frame>();
        for (auto member = context.begin(); member != context.end() && runtime_.ok(); ++member) {
            const auto& names = options_.trusted_variables;
            const bool is_trusted = std::find(names.begin(), names.end(), member.key()) != names.end();
            const Value value = member.key() == "messages" && member->is_array() && !is_trusted
                                    ? read_messages(*member)
                                    : read_value(*member, is_trusted ? Trust::kAll : Trust::kNone, 1);
            runtime_.push(frame->variables, jinja::NamedValue{member.key(), value});
        }
        return frame;
    }

  private:
    // Each message's role decides over its strings, however deep they lie.
    Value read_messages(const Json& messages) {
        jinja::List* list = runtime_.make_list();
        for (const Json& message : messages) {
            const auto role = message.is_object() ? message.find("role") : message.end();
            const bool is_assistant =
                message.is_object() && role != message.end() && role->is_string() && role->get_ref<const std::string&>() == "assistant";
            runtime_.push(list->items, read_value(message, is_assistant ? Trust::kAssistant : Trust::kNone, 2));
            if (!runtime_.ok()) break;
        }
        return Value::of(list);
    }

    Value read_value(const Json& json, Trust trust, int depth) {
        if (depth > limits::kMaxJsonDepth) return runtime_.fail_limit("levels of JSON in the context", limits::kMaxJsonDepth);
        if (!runtime_.step()) return {};
        switch (json.type()) {
            case Json::value_t::boolean:
                return Value::of(json.get<bool>());
            case Json::value_t::number_integer:
                return Value::of(json.get<int64_t>());
            case Json::value_t::number_unsigned:
                return read_unsigned(json.get<uint64_t>());
            case Json::value_t::number_float:
                return Value::of(json.get<double>());
            case Json::value_t::string:
                return read_string(json.get_ref<const std::string&>(), trust);
            case Json::value_t::array:
                return read_array(json, trust, depth);
            case Json::value_t::object:
                return read_object(json, trust, depth);
            default:
                return Value::none();
        }
    }

    static Value read_unsigned(uint64_t number) {
        if (number <= static_cast<uint64_t>(INT64_MAX)) return Value::of(static_cast<int64_t>(number));
        Value value;
        value.kind = jinja::Kind::kNatural;
        value.natural = number;
        return value;
    }

    Value read_array(const Json& json, Trust trust, int depth) {
        jinja::List* list = runtime_.make_list();
        runtime_.reserve(list->items, json.size());
        for (const Json& item : json) {
            runtime_.push(list->items, read_value(item, trust, depth + 1));
            if (!runtime_.ok()) break;
        }
        return Value::of(list);
    }

    // Keys count as strings of the context: a tool's property name is a user's text, too.
    Value read_object(const Json& json, Trust trust, int depth) {
        auto* dict = runtime_.make<jinja::Dict>();
        runtime_.reserve(dict->entries, json.size());
        for (auto member = json.begin(); member != json.end() && runtime_.ok(); ++member) {
            runtime_.push(dict->entries, jinja::DictEntry{read_string(member.key(), trust), read_value(*member, trust, depth + 1)});
        }
        return Value::of(dict);
    }

    // A string whose bytes are untrusted, but for what its place makes trusted.
    Value read_string(const std::string& bytes, Trust trust) {
        jinja::ArenaArray<TextSpan> marks;
        size_t begin = 0;
        for (size_t at = 0; trust == Trust::kAssistant && at < bytes.size();) {
            const size_t size = trusted_size_at(bytes, at);
            if (size != 0 && begin < at) runtime_.push(marks, TextSpan{begin, at});
            at += size != 0 ? size : 1;
            if (size != 0) begin = at;
        }
        if (trust != Trust::kAll && begin < bytes.size()) runtime_.push(marks, TextSpan{begin, bytes.size()});
        runtime_.step_bytes(trust == Trust::kAssistant ? bytes.size() : 0);
        return Value::of(runtime_.share_text(bytes, marks.span()));
    }

    size_t trusted_size_at(std::string_view bytes, size_t at) const {
        for (const std::string& text : options_.trusted_in_assistant) {
            if (!text.empty() && bytes[at] == text[0] && bytes.substr(at, text.size()) == text) return text.size();
        }
        return 0;
    }

    Runtime& runtime_;
    const RenderOptions& options_;
};

std::tm local_time_now() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
#ifdef _WIN32
    localtime_s(&local, &now);
#else
    localtime_r(&now, &local);
#endif
    return local;
}

}  // namespace

struct ChatTemplate::Program {
    jinja::Body body;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Program> program) : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
    if (source.size() > limits::kMaxTemplateBytes) {
        return make_error(PONDER_STATUS_LIMIT, "chat template of %zu bytes; the limit is %zu", source.size(), limits::kMaxTemplateBytes);
    }
    if (!is_utf8(source)) return make_error(PONDER_STATUS_TEMPLATE, "chat template is not valid UTF-8");
    Result<jinja::Body> body = jinja::parse_template(jinja::normalize_newlines(source));
    if (!body) return with_context(std::move(body.error()), "chat template");
    auto program = std::make_unique<Program>();
    program->body = std::move(*body);
    return ChatTemplate(std::move(program));
}

Result<ChatTemplate::Rendered> ChatTemplate::render(const nlohmann::ordered_json& context, const RenderOptions& options) const {
    if (!context.is_object()) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "the context of a chat template must be a JSON object");
    Runtime runtime(options.local_time ? *options.local_time : local_time_now());
    jinja::Output output;
    jinja::Frame* variables = ContextReader(runtime, options).read(context);
    if (runtime.ok()) jinja::Evaluator(runtime, variables).run(program_->body, output);
    if (!runtime.ok()) return with_context(runtime.error(), "chat template");
    return Rendered{std::move(output.bytes), std::move(output.marks)};
}

}  // namespace ponder
