// SPDX-License-Identifier: Apache-2.0
// `ponder perplexity`: how well the model predicts a text, and how far its predictions are from saved ones.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "command.hpp"
#include "failure.hpp"
#include "input.hpp"
#include "interrupt.hpp"
#include "json_text.hpp"
#include "model.hpp"
#include "npy.hpp"

namespace ponder::tool {
namespace {

constexpr int64_t kDefaultWindow = 512;
constexpr size_t kMinWindow = 4;  // two tokens of context, one scored, and the one that it predicts

constexpr const char* kFooter =
    "What is scored: the text is tokenized whole (with a BOS token first where the model adds one) and cut into windows of N tokens that "
    "do\n"
    "not overlap; a shorter rest is left out, and a text shorter than one window is one window. Each window is evaluated from an empty "
    "cache,\n"
    "its first token replaced by BOS where the model adds one. Scored are the predictions of the window's second half: those made at\n"
    "positions N/2 to N-2 about the token that follows. Perplexity is exp of their mean negative log-likelihood, the error its standard "
    "error.\n"
    "Saved logits belong to one text, tokenizer and --context: their own perplexity on the text, which --kld prints, shows a mix-up.\n"
    "Divergences are KL(saved || this model) in nats; median and 99% are the smallest ones that so many tokens do not exceed.";

// Of negative log-likelihoods.
struct Sums {
    double nll = 0;
    double nll_squared = 0;
    int64_t n = 0;

    void add(double value) { nll += value, nll_squared += value * value, ++n; }
    double mean() const { return nll / static_cast<double>(n); }
    double perplexity() const { return std::exp(mean()); }
    // Its standard error.
    double deviation() const {
        const double variance = nll_squared / static_cast<double>(n) - mean() * mean();
        return n > 1 && variance > 0 ? std::sqrt(variance / static_cast<double>(n - 1)) * perplexity() : 0;
    }
};

double log_sum_exp(std::span<const float> row) {
    const float largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    // In double precision: single would leave a floor of about 1e-9 under every divergence.
    for (const float value : row) sum += std::exp(static_cast<double>(value) - static_cast<double>(largest));
    return static_cast<double>(largest) + std::log(sum);
}

// KL(base || other) of the two softmax distributions, in nats.
double kl_divergence(std::span<const float> base, std::span<const float> other) {
    const double base_norm = log_sum_exp(base);
    const double other_norm = log_sum_exp(other);
    double sum = 0;
    for (size_t i = 0; i < base.size(); ++i) {
        const double log_p = base[i] - base_norm;
        sum += std::exp(log_p) * (log_p - (other[i] - other_norm));
    }
    return std::max(sum, 0.0);  // rounding may leave a tiny negative
}

// The smallest of the values, sorted upwards, that this share of them does not exceed.
double quantile(std::span<const double> sorted, double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return sorted[std::max<size_t>(rank, 1) - 1];
}

size_t top(std::span<const float> row) { return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin()); }

class PerplexityCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, options_);
        app.add_option("-f,--file", text_path_, "Text to score")->type_name("TEXT")->required();
        CLI::Option* kld = app.add_option("--kld", kld_path_, "Compare with logits saved by --save-logits")->type_name("BASE.npy");
        app.add_option("--save-logits", save_path_, "Save the scored logits: float32 [n_scored, n_vocab]")
            ->type_name("BASE.npy")
            ->excludes(kld);
        app.footer(kFooter);
    }

    void run() override {
        if (options_.context && static_cast<size_t>(*options_.context) < kMinWindow) {
            throw UsageError{"--context: a window has at least " + std::to_string(kMinWindow) + " tokens"};
        }
        const std::string text = read_file(text_path_);
        ProgressBar bar;
        const OpenedModel model = open_model(options_, bar);
        n_vocab_ = static_cast<size_t>(model.info.n_vocab);
        tokenize_text(model, text);
        const SessionHandle session = make_session(model, options_, static_cast<int32_t>(window_));
        open_logits_files();

        const size_t n_windows = tokens_.size() / window_;
        logits_.resize(std::min(window_, logits_rows_at_once(model.info.n_vocab)) * n_vocab_);
        const CancelOnInterrupt canceller({session.get()});
        for (size_t i = 0; i < n_windows; ++i) {
            bar.update("scoring", static_cast<double>(i) / static_cast<double>(n_windows));
            score_window(session.get(), std::span(tokens_).subspan(i * window_, window_));
        }
        bar.clear();
        if (save_) save_->commit();
        print();
        keep_device_cache(model);
    }

  private:
    void tokenize_text(const OpenedModel& model, const std::string& text) {
        const TextHandle side(ponder_model_text(model.handle.get()));
        ponder_text_info info = PONDER_TEXT_INFO_INIT;
        ponder_error error;
        check(ponder_text_describe(side.get(), &info, &error), error);
        if (info.n_tokens == 0) fail("the model has no tokenizer");
        tokens_ = tokenize(side.get(), text, PONDER_TOKENIZE_BOS);
        bos_ = info.adds_bos ? info.bos_token : -1;
        const int64_t trained = std::max<int64_t>(model.info.context_length, kMinWindow);
        const int64_t wanted = options_.context ? *options_.context : std::min(kDefaultWindow, trained);
        window_ = std::min(static_cast<size_t>(wanted), tokens_.size());
        if (tokens_.size() < kMinWindow) fail("%s: %zu tokens, at least %zu are needed", text_path_.c_str(), tokens_.size(), kMinWindow);
    }

    size_t first_scored() const { return window_ / 2; }
    size_t n_scored_per_window() const { return window_ - 1 - first_scored(); }

    void open_logits_files() {
        const size_t n_scored = tokens_.size() / window_ * n_scored_per_window();
        if (!save_path_.empty()) save_.emplace(save_path_, n_scored, n_vocab_);
        if (kld_path_.empty()) return;
        base_.emplace(kld_path_);
        if (base_->n_rows() != n_scored || base_->n_columns() != n_vocab_) {
            fail("%s: logits of shape (%zu, %zu), but this text and model give (%zu, %zu)", kld_path_.c_str(), base_->n_rows(),
                 base_->n_columns(), n_scored, n_vocab_);
        }
        base_row_.resize(n_vocab_);
    }

    // `window`: [window_] tokens; its first is replaced by BOS where the model has one.
    void score_window(ponder_session* session, std::span<int32_t> window) {
        if (bos_ >= 0) window[0] = bos_;
        ponder_error error;
        check(ponder_session_rewind(session, 0, &error), error);
        stop_if_interrupted();
        check(ponder_session_evaluate(session, window.data(), first_scored(), nullptr, 0, &error), error);
        const size_t n_rows_at_once = logits_.size() / n_vocab_;
        for (size_t at = first_scored(); at + 1 < window.size();) {
            stop_if_interrupted();
            const size_t n = std::min(n_rows_at_once, window.size() - 1 - at);
            check(ponder_session_evaluate(session, window.data() + at, n, logits_.data(), n, &error), error);
            if (save_) save_->write_rows(std::span(logits_).first(n * n_vocab_));
            for (size_t i = 0; i < n; ++i) score_row(std::span(logits_).subspan(i * n_vocab_, n_vocab_), window[at + i + 1]);
            at += n;
        }
    }

    void score_row(std::span<const float> row, int32_t next_token) {
        sums_.add(log_sum_exp(row) - static_cast<double>(row[static_cast<size_t>(next_token)]));
        if (!base_) return;
        base_->read_row(base_row_);
        const auto is_finite = [](float value) { return std::isfinite(value); };
        if (!std::all_of(base_row_.begin(), base_row_.end(), is_finite)) {
            fail("%s: row %zu holds a value that is not finite", kld_path_.c_str(), divergences_.size());
        }
        base_sums_.add(log_sum_exp(base_row_) - static_cast<double>(base_row_[static_cast<size_t>(next_token)]));
        divergences_.push_back(kl_divergence(base_row_, row));
        n_same_top_ += top(base_row_) == top(row) ? 1 : 0;
    }

    void print() {
        if (options_.is_json) {
            Json line{
                {"perplexity", sums_.perplexity()}, {"perplexity_error", sums_.deviation()}, {"tokens", sums_.n}, {"context", window_}};
            if (base_) line.update(divergence_json());
            write_out(to_json_line(line).append("\n"));
            return;
        }
        print_out("perplexity: %.4f +/- %.4f (%lld tokens)\n", sums_.perplexity(), sums_.deviation(), static_cast<long long>(sums_.n));
        if (!base_) return;
        const Json figures = divergence_json();
        const auto figure = [&](const char* name) { return figures[name].get<double>(); };
        print_out("perplexity of the saved logits: %.4f\n", figure("base_perplexity"));
        print_out("mean KL divergence: %.6g (median %.6g, 99%% of tokens up to %.6g, largest %.6g)\n", figure("mean_kld"),
                  figure("median_kld"), figure("p99_kld"), figure("max_kld"));
        print_out("same most likely token: %.2f%%\n", 100.0 * figure("same_top"));
    }

    Json divergence_json() {
        std::sort(divergences_.begin(), divergences_.end());
        const auto n = static_cast<double>(divergences_.size());
        return Json{{"base_perplexity", base_sums_.perplexity()},
                    {"mean_kld", std::accumulate(divergences_.begin(), divergences_.end(), 0.0) / n},
                    {"median_kld", quantile(divergences_, 0.5)},
                    {"p99_kld", quantile(divergences_, 0.99)},
                    {"max_kld", divergences_.back()},
                    {"same_top", static_cast<double>(n_same_top_) / n}};
    }

    ModelOptions options_;
    std::string text_path_, kld_path_, save_path_;
    std::vector<int32_t> tokens_;
    std::vector<float> logits_;    // [rows at once, n_vocab]
    std::vector<float> base_row_;  // [n_vocab]
    std::optional<NpyWriter> save_;
    std::optional<NpyReader> base_;
    size_t n_vocab_ = 0;
    size_t window_ = 0;  // tokens
    int32_t bos_ = -1;   // -1: none
    Sums sums_, base_sums_;
    std::vector<double> divergences_;  // of each scored token from the saved logits
    int64_t n_same_top_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_perplexity_command() { return std::make_unique<PerplexityCommand>(); }

}  // namespace ponder::tool
