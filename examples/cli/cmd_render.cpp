// SPDX-License-Identifier: Apache-2.0
// `ponder render`: JSON lines of chat template variables to JSON lines of the rendered text.
#include "command.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "json_text.hpp"
#include "model.hpp"

namespace ponder::tool {
namespace {

std::string render(const ponder_text* text, const std::string& context) {
    std::string bytes(context.size() + 4096, '\0');
    ponder_error error;
    size_t n_needed = 0;
    ponder_status status = ponder_text_render(text, context.data(), context.size(), bytes.data(), bytes.size(), &n_needed, &error);
    if (status == PONDER_STATUS_BUFFER_TOO_SMALL) {
        bytes.resize(n_needed);
        status = ponder_text_render(text, context.data(), context.size(), bytes.data(), bytes.size(), &n_needed, &error);
    }
    check(status, error);
    bytes.resize(n_needed);
    return bytes;
}

class RenderCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, options_);
        app.add_option("--template", template_, "Chat template: a .jinja file, instead of a model")->type_name("FILE")->excludes("-m");
        app.footer(
            "Reads lines {\"context\":{\"messages\":[...],...}}, writes lines {\"text\":...}. A line that fails gives {\"error\":...}.");
    }

    void run() override {
        const TextHandle text = open_text(template_.empty() ? model_path(options_) : template_);
        answer_lines([&](const std::string& line) { return answer_line(text.get(), line); });
    }

  private:
    static std::string answer_line(const ponder_text* text, const std::string& line) {
        const Json request = parse_json(line);
        if (!request.is_object() || !request.contains("context") || !request["context"].is_object()) {
            fail("no object \"context\" in the line");
        }
        return "{\"text\":" + to_json_string(render(text, to_json_line(request["context"]))) + "}\n";
    }

    ModelOptions options_;
    std::string template_;
};

}  // namespace

std::unique_ptr<Command> make_render_command() { return std::make_unique<RenderCommand>(); }

}  // namespace ponder::tool
