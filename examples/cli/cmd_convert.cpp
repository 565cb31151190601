// SPDX-License-Identifier: Apache-2.0
// `ponder convert`: a Hugging Face folder (or any other readable model) as one GGUF file.
#include "command.hpp"
#include "conversion.hpp"

namespace ponder::tool {
namespace {

class ConvertCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        app.add_option("in", conversion_.in, "Folder with config.json and *.safetensors, or a GGUF file")->type_name("DIR")->required();
        app.add_option("out", conversion_.out, "File to write")->type_name("OUT.gguf")->required();
        app.add_option("--type", conversion_.type, "Stored type mix; default: types stay, FP8 becomes BF16")->type_name("T");
        add_conversion_options(app, conversion_);
    }

    void run() override { run_conversion(conversion_); }

  private:
    Conversion conversion_;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() { return std::make_unique<ConvertCommand>(); }

}  // namespace ponder::tool
