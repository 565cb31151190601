// SPDX-License-Identifier: Apache-2.0
// The `ponder` tool: the list of its commands, parsing, exit codes. Everything it does goes through the library's C interface.
#include <ponder/ponder.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "command.hpp"
#include "failure.hpp"
#include "interrupt.hpp"
#include "terminal.hpp"

namespace ponder::tool {
namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

struct CommandEntry {
    const char* name;
    const char* summary;
    std::unique_ptr<Command> (*make)();
};

constexpr CommandEntry kCommands[] = {
    {"run", "Answer one prompt", make_run_command},
    {"chat", "Talk with the model", make_chat_command},
    {"tokenize", "Turn texts into token ids (JSON lines)", make_tokenize_command},
    {"render", "Render chat templates (JSON lines)", make_render_command},
    {"logits", "Save the logits of given tokens as .npy", make_logits_command},
    {"perplexity", "Score a text; compare with saved logits", make_perplexity_command},
    {"bench", "Measure speed and memory", make_bench_command},
    {"synth", "Write a model of a real shape with random weights", make_synth_command},
    {"inspect", "Show what is in a model file", make_inspect_command},
    {"plan", "Show the memory that a model would take", make_plan_command},
    {"convert", "Turn a Hugging Face folder into a GGUF file", make_convert_command},
    {"quantize", "Store a model's weights in other types", make_quantize_command},
};

int report_bad_usage(const std::string& what, const std::string& why, const std::string& command) {
    print_failure(what, why + "; see 'ponder " + (command.empty() ? "" : command + " ") + "--help'");
    return kBadUsage;
}

// Runs the command and turns whatever ends it into an exit code.
int run_command(const std::string& name, Command& command) {
    try {
        command.run();
        flush_out();
        return 0;
    } catch (const UsageError& error) {
        return report_bad_usage(name, error.why, name);
    } catch (const Failure& failure) {
        std::fflush(stdout);  // what was made before the failure comes before its line
        print_failure(name, failure.why);
    } catch (const std::bad_alloc&) {
        print_failure(name, "out of memory");
    }
    return kFailed;
}

int run_tool(int argc, char** argv) {
    CLI::App app("ponder runs reasoning models on this machine.", "ponder");
    app.set_version_flag("--version", std::string("ponder ") + ponder_version_string());
    app.require_subcommand(1);
    std::vector<std::unique_ptr<Command>> commands;
    for (const CommandEntry& entry : kCommands) {
        commands.push_back(entry.make());
        commands.back()->add_options(*app.add_subcommand(entry.name, entry.summary));
    }
    // Set last: a subcommand inherits the footer that is there when it is made.
    app.footer("'ponder COMMAND --help' lists a command's options. Exit codes: 0 done, 1 failed, 2 bad usage.");
    if (argc < 2) return report_bad_usage("", "no command", "");
    const std::string first = argv[1];
    const auto is_first = [&first](const CommandEntry& entry) { return first == entry.name; };
    const bool asks_about_tool = first == "-h" || first == "--help" || first == "--version";
    if (!asks_about_tool && std::none_of(std::begin(kCommands), std::end(kCommands), is_first)) {
        return report_bad_usage(first, first.starts_with('-') ? "the command comes first" : "no such command", "");
    }

    std::string name;
    try {
        app.parse(argc, argv);
        name = app.get_subcommands().front()->get_name();
    } catch (const CLI::CallForHelp&) {
        write_out(app.help());
        flush_out();
        return 0;
    } catch (const CLI::CallForVersion& version) {
        write_out(std::string(version.what()) + "\n");
        flush_out();
        return 0;
    } catch (const CLI::ParseError& error) {
        return report_bad_usage(first, error.what(), asks_about_tool ? "" : first);
    }
    for (size_t i = 0; i < commands.size(); ++i) {
        if (name == kCommands[i].name) return run_command(name, *commands[i]);
    }
    return kBadUsage;
}

}  // namespace
}  // namespace ponder::tool

int main(int argc, char** argv) {
    try {
        ponder::tool::occupy_standard_streams();
        ponder::tool::install_interrupt_handler();
        ponder::tool::set_log_level(PONDER_LOG_WARNING);
        return ponder::tool::run_tool(argc, argv);
    } catch (const ponder::tool::Failure& failure) {
        ponder::tool::print_failure("", failure.why);
    } catch (const std::bad_alloc&) {
        ponder::tool::print_failure("", "out of memory");
    }
    return 1;
}
