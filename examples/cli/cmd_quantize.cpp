// SPDX-License-Identifier: Apache-2.0
// `ponder quantize`: a model with its weights stored in other types, smaller mostly.
#include "command.hpp"
#include "conversion.hpp"

namespace ponder::tool {
namespace {

class QuantizeCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        app.add_option("in", conversion_.in, "Model: a GGUF file, the first of split ones, or a Hugging Face folder")
            ->type_name("IN")
            ->required();
        app.add_option("out", conversion_.out, "File to write")->type_name("OUT.gguf")->required();
        app.add_option("type", conversion_.type,
                       "Stored type mix: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_K_S, Q4_0, Q3_K_M, Q2_K, IQ4_NL, IQ4_XS, MXFP4")
            ->type_name("T")
            ->required();
        app.add_option("--imatrix", conversion_.imatrix, "Importance matrix of llama.cpp, as GGUF or .dat")->type_name("F");
        add_conversion_options(app, conversion_);
    }

    void run() override { run_conversion(conversion_); }

  private:
    Conversion conversion_;
};

}  // namespace

std::unique_ptr<Command> make_quantize_command() { return std::make_unique<QuantizeCommand>(); }

}  // namespace ponder::tool
