// SPDX-License-Identifier: Apache-2.0
// `ponder tokenize`: JSON lines of texts to JSON lines of token ids and the text that they decode to.
#include <charconv>

#include "command.hpp"
#include "failure.hpp"
#include "fill_buffer.hpp"
#include "json_lines.hpp"
#include "json_text.hpp"
#include "model.hpp"

namespace ponder::tool {
namespace {

std::string detokenize(const ponder_text* text, const std::vector<int32_t>& tokens, size_t size_hint) {
    return fill_buffer<std::string>(size_hint + 16, [&](char* buffer, size_t capacity, size_t* n_needed, ponder_error* error) {
        return ponder_text_detokenize(text, tokens.data(), tokens.size(), buffer, capacity, n_needed, error);
    });
}

// {"ids":[…],"text":…}; written by hand because a long text has millions of ids.
std::string result_line(const std::vector<int32_t>& tokens, std::string_view text) {
    std::string line = "{\"ids\":[";
    char digits[16];
    for (const int32_t token : tokens) {
        if (line.back() != '[') line += ',';
        line.append(digits, std::to_chars(digits, digits + sizeof digits, token).ptr);
    }
    return line.append("],\"text\":").append(to_json_string(text)).append("}\n");
}

class TokenizeCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, options_);
        app.add_option("--tokenizer", tokenizer_, "Tokenizer: a tokenizer.json, instead of a model")->type_name("FILE")->excludes("-m");
        app.add_flag("--no-special", has_no_special_, "Treat the text of special tokens as ordinary text");
        app.footer(
            "Reads lines {\"text\":...}, writes lines {\"ids\":[...],\"text\":...}; no BOS is added. A line that fails gives "
            "{\"error\":...}.");
    }

    void run() override {
        const TextHandle text = open_text(tokenizer_.empty() ? model_path(options_) : tokenizer_);
        answer_lines([&](const std::string& line) { return answer_line(text.get(), line); });
    }

  private:
    std::string answer_line(const ponder_text* text, const std::string& line) const {
        const Json request = parse_json(line);
        if (!request.is_object() || !request.contains("text") || !request["text"].is_string()) fail("no string \"text\" in the line");
        const std::string& bytes = request["text"].get_ref<const std::string&>();
        const std::vector<int32_t> tokens = tokenize(text, bytes, has_no_special_ ? 0 : PONDER_TOKENIZE_SPECIAL);
        return result_line(tokens, detokenize(text, tokens, bytes.size()));
    }

    ModelOptions options_;
    std::string tokenizer_;
    bool has_no_special_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenize_command() { return std::make_unique<TokenizeCommand>(); }

}  // namespace ponder::tool
