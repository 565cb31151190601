// SPDX-License-Identifier: Apache-2.0
// `ponder run`: one prompt, one answer.
#include <unistd.h>
#include <cstdio>

#include "answer.hpp"
#include "command.hpp"
#include "failure.hpp"
#include "input.hpp"
#include "model.hpp"

namespace ponder::tool {
namespace {

class RunCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, model_options_);
        app.add_option("-p,--prompt", prompt_, "Prompt; without it, all of standard input")->type_name("TEXT");
        add_generation_options(app, generation_options_);
    }

    void run() override {
        if (generation_options_.is_raw && generation_options_.system) throw UsageError{"--system has no place in --raw text"};
        const std::string prompt = prompt_ ? *prompt_ : read_prompt();
        ProgressBar bar;
        const OpenedModel model = open_model(model_options_, bar);
        if (model.info.has_chat_template == 0 && generation_options_.system)
            fail("the model has no chat template, so --system cannot be used");
        const SessionHandle session = make_session(model, model_options_, 0);

        std::vector<Message> messages;
        if (generation_options_.system) messages.push_back({"system", *generation_options_.system, {}});
        messages.push_back({"user", prompt, {}});
        std::vector<const char*> stops;
        const ponder_generation_params params = to_generation_params(generation_options_, model_options_.seed, model.info, bar, stops);
        AnswerPrinter printer(model_options_.is_json, generation_options_.hides_thinking, bar);
        const Answer answer = generate_answer(session.get(), messages, params, printer);
        printer.finish(answer.done, model.load_s);
        keep_device_cache(model);
        if (answer.is_cancelled()) throw Failure{"cancelled"};
    }

  private:
    static std::string read_prompt() {
        if (stdin_is_terminal() && stderr_is_terminal()) std::fputs("Type the prompt, then Ctrl-D on a line of its own.\n", stderr);
        std::string prompt = read_all(STDIN_FILENO, "standard input");
        if (prompt.ends_with('\n')) prompt.pop_back();
        return prompt;
    }

    ModelOptions model_options_;
    GenerationOptions generation_options_;
    std::optional<std::string> prompt_;
};

}  // namespace

std::unique_ptr<Command> make_run_command() { return std::make_unique<RunCommand>(); }

}  // namespace ponder::tool
