// SPDX-License-Identifier: Apache-2.0
// What a command of the tool is: its options, and its work. Each lives in its own cmd_<name>.cpp; main.cpp lists them.
#pragma once

#include <memory>

namespace CLI {
class App;
}

namespace ponder::tool {

class Command {
  public:
    virtual ~Command() = default;
    // Adds the command's options to its own part of the command line. Called once, before parsing.
    virtual void add_options(CLI::App& app) = 0;
    // Does the work. Throws Failure (exit code 1) or UsageError (2); returning is exit code 0.
    virtual void run() = 0;
};

std::unique_ptr<Command> make_run_command();
std::unique_ptr<Command> make_chat_command();
std::unique_ptr<Command> make_tokenize_command();
std::unique_ptr<Command> make_render_command();
std::unique_ptr<Command> make_logits_command();
std::unique_ptr<Command> make_perplexity_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_synth_command();
std::unique_ptr<Command> make_inspect_command();
std::unique_ptr<Command> make_plan_command();
std::unique_ptr<Command> make_convert_command();
std::unique_ptr<Command> make_quantize_command();

}  // namespace ponder::tool
