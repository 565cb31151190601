// SPDX-License-Identifier: Apache-2.0
// The text side of a model: tokenizer, chat template, and how the two make a prompt whose thinking state is known.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "format/model_file.hpp"
#include "text/template.hpp"
#include "text/tokenizer.hpp"

namespace ponder {

// Where a prompt leaves the model with regard to thinking.
enum class ThoughtState { kNone, kOpen, kClosed };

class TextSide {
  public:
    // From a model's metadata; a file without a tokenizer or template gives a side without it. Errors: FORMAT, LIMIT, UNSUPPORTED,
    // TEMPLATE.
    static Result<std::shared_ptr<const TextSide>> from_model(const ModelFile& file);
    // From a GGUF, a tokenizer.json or a *.jinja file.
    static Result<std::shared_ptr<const TextSide>> open(const std::string& path);

    const Tokenizer* tokenizer() const { return tokenizer_.get(); }
    bool has_template() const { return template_.has_value(); }
    TokenId think_token() const { return think_token_; }
    TokenId end_think_token() const { return end_think_token_; }
    bool can_think() const { return think_token_ >= 0 && end_think_token_ >= 0; }

    // Renders the template. Fills in bos_token and eos_token where the context has none.
    Result<ChatTemplate::Rendered> render(nlohmann::ordered_json context) const;
    // Renders and tokenizes: only what the template itself wrote can become a special token.
    Result<std::vector<TokenId>> tokenize_chat(nlohmann::ordered_json context) const;
    // Plain text, no special tokens, after BOS where the model wants one and is_start.
    Result<std::vector<TokenId>> tokenize_raw(std::string_view text, bool is_start) const;
    // Looks at the last marker before trailing white space.
    ThoughtState thought_state(const std::vector<TokenId>& prompt) const;

  private:
    void find_thought_tokens();

    std::unique_ptr<Tokenizer> tokenizer_;
    std::optional<ChatTemplate> template_;
    TokenId think_token_ = -1, end_think_token_ = -1;
};

}  // namespace ponder
