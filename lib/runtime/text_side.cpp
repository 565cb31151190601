// SPDX-License-Identifier: Apache-2.0
// Loads tokenizers and templates, and builds prompts from messages.
#include "runtime/text_side.hpp"

#include <algorithm>
#include <utility>

#include "base/limits.hpp"
#include "base/mapped_file.hpp"
#include "runtime/model_source.hpp"

namespace ponder {

namespace {

bool ends_with(const std::string& text, std::string_view suffix) {
    return text.size() >= suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool is_blank(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; });
}

}  // namespace

void TextSide::find_thought_tokens() {
    if (tokenizer_ == nullptr) return;
    think_token_ = tokenizer_->find_special("<think>");
    end_think_token_ = tokenizer_->find_special("</think>");
}

Result<std::shared_ptr<const TextSide>> TextSide::from_model(const ModelFile& file) {
    auto side = std::make_shared<TextSide>();
    if (file.metadata.find("tokenizer.ggml.tokens") != nullptr) {
        auto tokenizer = Tokenizer::from_metadata(file.metadata);
        if (!tokenizer) return tokenizer.error();
        side->tokenizer_ = std::move(*tokenizer);
    }
    const auto source = file.metadata.get_string("tokenizer.chat_template");
    if (!source) return source.error();
    if (*source) {
        auto parsed = ChatTemplate::parse(**source);
        if (!parsed) return with_context(parsed.error(), "tokenizer.chat_template");
        side->template_ = std::move(*parsed);
    }
    side->find_thought_tokens();
    return std::shared_ptr<const TextSide>(std::move(side));
}

Result<std::shared_ptr<const TextSide>> TextSide::open(const std::string& path) {
    auto side = std::make_shared<TextSide>();
    if (ends_with(path, ".jinja")) {
        auto source = read_file(path, limits::kMaxTemplateBytes);
        if (!source) return source.error();
        auto parsed = ChatTemplate::parse(*source);
        if (!parsed) return with_context(parsed.error(), path);
        side->template_ = std::move(*parsed);
        return std::shared_ptr<const TextSide>(std::move(side));
    }
    if (ends_with(path, ".json")) {
        auto tokenizer = Tokenizer::from_json_file(path);
        if (!tokenizer) return tokenizer.error();
        side->tokenizer_ = std::move(*tokenizer);
        side->find_thought_tokens();
        return std::shared_ptr<const TextSide>(std::move(side));
    }
    auto file = read_model_file(path);
    if (!file) return file.error();
    auto opened = from_model(*file);
    if (!opened) return with_context(opened.error(), path);
    return opened;
}

Result<ChatTemplate::Rendered> TextSide::render(nlohmann::ordered_json context) const {
    if (!template_) return make_error(PONDER_STATUS_UNSUPPORTED, "there is no chat template");
    const auto fill_in = [&](const char* name, TokenId token) {
        if (context.is_object() && !context.contains(name)) {
            context[name] = tokenizer_ != nullptr && token >= 0 ? std::string(tokenizer_->decode(token)) : std::string();
        }
    };
    if (tokenizer_ != nullptr) {
        fill_in("bos_token", tokenizer_->bos());
        fill_in("eos_token", tokenizer_->eos());
    }
    RenderOptions options;
    options.trusted_in_assistant = {"<think>", "</think>"};
    return template_->render(context, options);
}

Result<std::vector<TokenId>> TextSide::tokenize_chat(nlohmann::ordered_json context) const {
    if (tokenizer_ == nullptr) return make_error(PONDER_STATUS_UNSUPPORTED, "the model has no tokenizer");
    auto rendered = render(std::move(context));
    if (!rendered) return rendered.error();
    auto tokens = tokenizer_->encode(rendered->text, {.parse_special = true, .literal = rendered->untrusted});
    if (!tokens) return tokens;
    if (tokenizer_->adds_bos() && tokenizer_->bos() >= 0 && (tokens->empty() || tokens->front() != tokenizer_->bos())) {
        tokens->insert(tokens->begin(), tokenizer_->bos());
    }
    return tokens;
}

Result<std::vector<TokenId>> TextSide::tokenize_raw(std::string_view text, bool is_start) const {
    if (tokenizer_ == nullptr) return make_error(PONDER_STATUS_UNSUPPORTED, "the model has no tokenizer");
    auto tokens = tokenizer_->encode(text, {});
    if (!tokens) return tokens;
    if (is_start && tokenizer_->adds_bos() && tokenizer_->bos() >= 0) tokens->insert(tokens->begin(), tokenizer_->bos());
    return tokens;
}

ThoughtState TextSide::thought_state(const std::vector<TokenId>& prompt) const {
    if (!can_think()) return ThoughtState::kNone;
    for (auto token = prompt.rbegin(); token != prompt.rend(); ++token) {
        if (*token == think_token_) return ThoughtState::kOpen;
        if (*token == end_think_token_) return ThoughtState::kClosed;
        if (!is_blank(tokenizer_->decode(*token))) break;
    }
    return ThoughtState::kNone;
}

}  // namespace ponder
