// SPDX-License-Identifier: Apache-2.0
// `ponder render`: JSON lines of chat template variables to JSON lines of the rendered text.
#include "command.hpp"
#include "failure.hpp"
#include "fill_buffer.hpp"
#include "json_lines.hpp"
#include "json_text.hpp"
#include "model.hpp"

namespace ponder::tool {
namespace {

std::string render(const ponder_text* text, const std::string& context) {
    return fill_buffer<std::string>(context.size() + 4096, [&](char* buffer, size_t capacity, size_t* n_needed, ponder_error* error) {
        return ponder_text_render(text, context.data(), context.size(), buffer, capacity, n_needed, error);
    });
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
