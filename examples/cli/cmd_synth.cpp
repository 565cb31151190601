// SPDX-License-Identifier: Apache-2.0
// `ponder synth`: a model file of a real model's shape with random weights, for measuring without a download.
#include "command.hpp"
#include "failure.hpp"
#include "handles.hpp"
#include "json_text.hpp"
#include "options.hpp"

namespace ponder::tool {
namespace {

class SynthCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        app.add_option(
               "shape", shape_,
               "r1-distill-qwen-1.5b, -7b, -14b, -32b, r1-distill-llama-8b, -70b, r1-0528-qwen3-8b, deepseek-r1, deepseek-v2-lite, or "
               "another that the library knows")
            ->type_name("SHAPE")
            ->required();
        app.add_option("out", out_, "File to write")->type_name("OUT.gguf")->required();
        app.add_option("--type", type_, "Stored type mix; default Q4_K_M")->type_name("T");
        add_integer<int32_t>(app, "--layers", n_layers_, 1, 1024, "Number of layers; default: the shape's");
        add_integer<int32_t>(app, "--experts", n_experts_, 2, 4096, "Number of routed experts; default: the shape's");
        add_integer<uint64_t>(app, "--seed", seed_, 0, std::numeric_limits<uint64_t>::max(), "Seed of the weights; default 0");
        app.add_option("--tokenizer", tokenizer_, "A tokenizer.json whose vocabulary goes in; default: a made-up one")->type_name("FILE");
        add_json_option(app, is_json_);
        add_verbose_option(app);
    }

    void run() override {
        ProgressBar bar;
        ponder_synth_params params = PONDER_SYNTH_PARAMS_INIT;
        params.n_layers = n_layers_.value_or(0);
        params.n_experts = n_experts_.value_or(0);
        params.type = type_.empty() ? nullptr : type_.c_str();
        params.seed = seed_;
        params.tokenizer_path = tokenizer_.empty() ? nullptr : tokenizer_.c_str();
        params.on_progress = ProgressBar::on_progress;
        params.progress_user_data = &bar;
        ponder_error error;
        const ponder_status status = ponder_file_synthesize(shape_.c_str(), out_.c_str(), &params, &error);
        bar.clear();
        check(status, error);
        report();
    }

  private:
    void report() const {
        ponder_error error;
        ponder_file* opened = nullptr;
        check(ponder_file_open(out_.c_str(), &opened, &error), error);
        const FileHandle file(opened);
        ponder_file_info info = PONDER_FILE_INFO_INIT;
        check(ponder_file_describe(opened, &info, &error), error);
        if (is_json_) {
            write_out(to_json_line(Json{{"out", out_},
                                        {"shape", shape_},
                                        {"architecture", info.architecture},
                                        {"n_parameters", info.n_parameters},
                                        {"n_tensors", info.n_tensors},
                                        {"file_bytes", info.file_bytes}})
                          .append("\n"));
        } else {
            print_out("%s: %s, %lld parameters, %s\n", shown_text(out_).c_str(), shape_.c_str(), static_cast<long long>(info.n_parameters),
                      format_bytes(info.file_bytes).c_str());
        }
    }

    std::string shape_, out_, type_, tokenizer_;
    std::optional<int32_t> n_layers_, n_experts_;
    uint64_t seed_ = 0;
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_synth_command() { return std::make_unique<SynthCommand>(); }

}  // namespace ponder::tool
