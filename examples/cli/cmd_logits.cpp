// SPDX-License-Identifier: Apache-2.0
// `ponder logits`: the model's raw output for given tokens, as a .npy matrix.
#include <algorithm>

#include "command.hpp"
#include "failure.hpp"
#include "interrupt.hpp"
#include "json_text.hpp"
#include "model.hpp"
#include "npy.hpp"

namespace ponder::tool {
namespace {

constexpr size_t kDefaultChunk = 512;

class LogitsCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, options_);
        app.add_option_function<std::string>(
               "--tokens", [this](const std::string& text) { parse_tokens(text); }, "Token ids, such as 1,2,3")
            ->type_name("IDS")
            ->required();
        app.add_option("--out", out_, "File to write: float32 [n_tokens, n_vocab]")->type_name("FILE")->required();
        add_integer<int32_t>(app, "--chunk", chunk_, 1, std::numeric_limits<int32_t>::max(),
                             "Tokens evaluated at once; default at most 512");
    }

    void run() override {
        ProgressBar bar;
        const OpenedModel model = open_model(options_, bar);
        const auto n_vocab = static_cast<size_t>(model.info.n_vocab);
        const SessionHandle session = make_session(model, options_, static_cast<int32_t>(tokens_.size()));
        const CancelOnInterrupt canceller({session.get()});
        const size_t chunk = chunk_ ? static_cast<size_t>(*chunk_) : std::min(kDefaultChunk, logits_rows_at_once(model.info.n_vocab));
        NpyWriter file(out_, tokens_.size(), n_vocab);
        std::vector<float> logits(std::min(chunk, tokens_.size()) * n_vocab);  // [chunk, n_vocab]
        for (size_t start = 0; start < tokens_.size(); start += chunk) {
            stop_if_interrupted();
            const size_t n = std::min(chunk, tokens_.size() - start);
            ponder_error error;
            check(ponder_session_evaluate(session.get(), tokens_.data() + start, n, logits.data(), n, &error), error);
            file.write_rows(std::span(logits).first(n * n_vocab));
            bar.update("evaluating", static_cast<double>(start + n) / static_cast<double>(tokens_.size()));
        }
        bar.clear();
        file.commit();
        keep_device_cache(model);
        if (options_.is_json) {
            write_out(to_json_line(Json{{"n_tokens", tokens_.size()}, {"n_vocab", n_vocab}, {"out", out_}}).append("\n"));
        }
    }

  private:
    void parse_tokens(std::string_view text) {
        constexpr size_t kMaxTokens = size_t{1} << 24;
        tokens_.clear();
        while (true) {
            const size_t comma = std::min(text.find(','), text.size());
            std::string_view word = text.substr(0, comma);
            while (word.starts_with(' ')) word.remove_prefix(1);
            while (word.ends_with(' ')) word.remove_suffix(1);
            const std::optional<int32_t> token = parse_number<int32_t>(word);
            if (!token || *token < 0 || tokens_.size() >= kMaxTokens)
                reject_value("--tokens", std::string(word.substr(0, 40)), "a token id");
            tokens_.push_back(*token);
            if (comma == text.size()) return;
            text.remove_prefix(comma + 1);
        }
    }

    ModelOptions options_;
    std::vector<int32_t> tokens_;
    std::string out_;
    std::optional<int32_t> chunk_;
};

}  // namespace

std::unique_ptr<Command> make_logits_command() { return std::make_unique<LogitsCommand>(); }

}  // namespace ponder::tool
