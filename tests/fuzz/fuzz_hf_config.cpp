// SPDX-License-Identifier: Apache-2.0
// Fuzz target of config.json: whatever it says, the answer is a model that the graph builder takes, or a status with a message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "format/json.hpp"
#include "model/architecture.hpp"
#include "runtime/hf_folder.hpp"

namespace {

void require(bool is_true) {
    if (!is_true) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto json = ponder::parse_json({reinterpret_cast<const char*>(data), size}, size_t{1} << 20);
    if (!json) return 0;
    const auto outline = ponder::hf::make_outline(*json, "fuzz");
    if (!outline) {
        require(outline.error().status != PONDER_STATUS_OK && outline.error().message.starts_with("fuzz: "));
        return 0;
    }
    for (const auto& tensor : outline->tensors) require(outline->find(tensor.name) == &tensor);
    const auto graph = ponder::build_graph(*outline, {});
    require(graph || !graph.error().message.empty());
    return 0;
}
