// SPDX-License-Identifier: Apache-2.0
// Architectures: each turns a model file into hyper-parameters and a Program. The registry is the only list of them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"
#include "model/hyper_parameters.hpp"
#include "op/program.hpp"

namespace ponder {

struct ModelGraph {
    HyperParameters hyper_parameters;
    Program program;
};

struct GraphOptions {
    int32_t kv_type = PONDER_TYPE_F32;
    bool is_streaming = false;  // the weights of routed experts are not kept in memory
};

struct Architecture {
    const char* name;  // general.architecture
    Result<ModelGraph> (*build)(const ModelFile& file, const GraphOptions& options);
};

// Builds the graph of a file's own architecture. The file must outlive the program. Errors: UNSUPPORTED (an architecture that is not in the
// registry, by name), FORMAT, LIMIT.
Result<ModelGraph> build_graph(const ModelFile& file, const GraphOptions& options);

Result<ModelGraph> build_deepseek2(const ModelFile& file, const GraphOptions& options);
Result<ModelGraph> build_llama(const ModelFile& file, const GraphOptions& options);
Result<ModelGraph> build_qwen2(const ModelFile& file, const GraphOptions& options);
Result<ModelGraph> build_qwen3(const ModelFile& file, const GraphOptions& options);

}  // namespace ponder
