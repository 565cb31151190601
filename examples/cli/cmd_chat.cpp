// SPDX-License-Identifier: Apache-2.0
// `ponder chat`: a conversation, line by line. The tool holds the messages; the library finds what its cache already knows of them.
#include <cstdio>

#include "answer.hpp"
#include "command.hpp"
#include "conversation.hpp"
#include "failure.hpp"
#include "input.hpp"
#include "interrupt.hpp"
#include "json_text.hpp"
#include "model.hpp"

namespace ponder::tool {
namespace {

constexpr std::string_view kHelp =
    "/save FILE    write the conversation to a file\n"
    "/load FILE    go on with a conversation from a file\n"
    "/think N      thought of at most N tokens; 0: none; max: no limit\n"
    "/system TEXT  set the system message; without TEXT: remove it\n"
    "/reset        forget the conversation, keep the system message\n"
    "/quit         leave (also Ctrl-D, or Ctrl-C at the prompt)\n"
    "A line that ends in \\ goes on in the next one. Ctrl-C stops an answer.\n";

class ChatCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, model_options_);
        add_generation_options(app, generation_options_);
        app.footer("In the chat:\n" + std::string(kHelp));
    }

    void run() override {
        is_interactive_ = stdin_is_terminal() && !model_options_.is_json;
        const OpenedModel model = open_model(model_options_, bar_);
        const SessionHandle session = make_session(model, model_options_, 0);
        model_ = &model;
        session_ = session.get();
        if (generation_options_.system) set_system(*generation_options_.system);
        if (is_interactive_) greet();

        std::string line;
        while (read_prompt(line)) {
            if (line.empty()) continue;
            try {
                if (line[0] != '/') {
                    answer(line);
                } else if (!obey(line)) {
                    break;
                }
            } catch (const Failure& failure) {
                // A person, or a program that reads events, can go on after a failed turn; a script should hear of it.
                if (!is_interactive_ && !model_options_.is_json) throw;
                report(failure.why);
            }
            clear_interrupt();
        }
        keep_device_cache(model);
    }

  private:
    void greet() const {
        print_out("%s on %s%s. /help lists commands.\n",
                  shown_text(model_->info.name[0] ? model_->info.name : model_->info.architecture).c_str(), model_->info.backend,
                  model_->info.has_chat_template ? "" : "; it has no chat template: the text is continued");
    }

    // One message, which may span lines; false at the end of input or on Ctrl-C.
    bool read_prompt(std::string& text) {
        text.clear();
        std::string line;
        bool goes_on = false;
        do {
            if (is_interactive_ && stdout_is_terminal()) write_out(goes_on ? ". " : "> ");
            if (reader_.next(line) != LineReader::Result::kLine) {
                if (is_interactive_ && stdout_is_terminal()) write_out("\n");
                return false;
            }
            text.append(goes_on ? "\n" : "");
            goes_on = line.ends_with('\\');
            if (goes_on) line.pop_back();
            text.append(line);
        } while (goes_on);
        return true;
    }

    void answer(const std::string& text) {
        std::vector<Message> messages = messages_;
        messages.push_back({"user", text, {}});
        std::vector<const char*> stops;
        const ponder_generation_params params = to_generation_params(generation_options_, model_options_.seed, model_->info, bar_, stops);
        AnswerPrinter printer(model_options_.is_json, generation_options_.hides_thinking, bar_);
        Answer answer = generate_answer(session_, messages, params, printer);
        printer.finish(answer.done, model_->load_s);
        // A turn that was stopped before its first word has not happened.
        if (answer.is_cancelled() && answer.text.empty()) return;
        messages.push_back({"assistant", std::move(answer.text), std::move(answer.thinking)});
        messages_ = std::move(messages);
    }

    // A slash command; false to leave.
    bool obey(const std::string& line) {
        const size_t space = line.find(' ');
        const std::string word = line.substr(0, space);
        const size_t start = space == std::string::npos ? std::string::npos : line.find_first_not_of(' ', space);
        const std::string rest = start == std::string::npos ? std::string() : line.substr(start);
        if (word == "/quit" || word == "/exit") return false;
        if (word == "/help") {
            note(kHelp.substr(0, kHelp.size() - 1));
        } else if (word == "/save" && !rest.empty()) {
            save_conversation(rest, messages_);
            note("saved " + std::to_string(messages_.size()) + " messages to " + rest);
        } else if (word == "/load" && !rest.empty()) {
            messages_ = load_conversation(rest);
            note("loaded " + std::to_string(messages_.size()) + " messages from " + rest);
        } else if (word == "/think" && !rest.empty()) {
            set_thinking(rest);
        } else if (word == "/system") {
            set_system(rest);
            note(rest.empty() ? "no system message" : "system message set");
        } else if (word == "/reset") {
            std::erase_if(messages_, [](const Message& message) { return message.role != "system"; });
            note("conversation forgotten");
        } else {
            fail("no such command: %s (/help lists them)", line.c_str());
        }
        return true;
    }

    void set_thinking(const std::string& text) {
        const std::optional<int32_t> budget = parse_number<int32_t>(text);
        if (text != "max" && (!budget || *budget < 0)) fail("/think: '%s' is not a number of tokens, or max", text.c_str());
        generation_options_.think_budget = text == "max" ? std::nullopt : budget;
        note(text == "max" ? "no limit on thought" : *budget == 0 ? "no thought" : "at most " + text + " tokens of thought");
    }

    void set_system(const std::string& text) {
        if (model_->info.has_chat_template == 0 || generation_options_.is_raw) fail("without a chat template there is no system message");
        if (!messages_.empty() && messages_[0].role == "system") messages_.erase(messages_.begin());
        if (!text.empty()) messages_.insert(messages_.begin(), {"system", text, {}});
    }

    // What a slash command did. A script without --json reads only answers on standard output.
    void note(std::string_view text) const {
        if (model_options_.is_json) {
            write_out(to_json_line(Json{{"type", "note"}, {"text", text}}).append("\n"));
        } else if (is_interactive_) {
            write_out(shown_text(text).append("\n"));
        }
    }

    void report(const std::string& why) {
        bar_.clear();
        if (model_options_.is_json) {
            write_out(to_json_line(Json{{"type", "error"}, {"error", why}}).append("\n"));
        } else {
            print_failure("chat", why);
        }
    }

    ModelOptions model_options_;
    GenerationOptions generation_options_;
    ProgressBar bar_;
    LineReader reader_;
    const OpenedModel* model_ = nullptr;  // both live in run()
    ponder_session* session_ = nullptr;
    std::vector<Message> messages_;
    bool is_interactive_ = false;
};

}  // namespace

std::unique_ptr<Command> make_chat_command() { return std::make_unique<ChatCommand>(); }

}  // namespace ponder::tool
