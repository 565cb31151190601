// SPDX-License-Identifier: Apache-2.0
// The list of architectures, one line each.
#include "base/utf8.hpp"
#include "model/architecture.hpp"

namespace ponder {

namespace {

constexpr Architecture kArchitectures[] = {
    {"deepseek2", build_deepseek2},
    {"llama", build_llama},
    {"qwen2", build_qwen2},
    {"qwen3", build_qwen3},
};

}  // namespace

Result<ModelGraph> build_graph(const ModelFile& file, const GraphOptions& options) {
    const auto name = file.metadata.get_string("general.architecture");
    if (!name) return name.error();
    if (!*name) return make_error(PONDER_STATUS_FORMAT, "general.architecture is missing");
    std::string known;
    for (const Architecture& architecture : kArchitectures) {
        if (**name == architecture.name) return architecture.build(file, options);
        known += (known.empty() ? "" : ", ") + std::string(architecture.name);
    }
    return make_error(PONDER_STATUS_UNSUPPORTED, "general.architecture is '%s'; this build knows %s", printable(**name).c_str(),
                      known.c_str());
}

}  // namespace ponder
