// SPDX-License-Identifier: Apache-2.0
// Converts model files: any readable format to GGUF, with stored types kept or chosen by a type mix.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder {

struct ConvertParams {
    std::string type = {};                         // name of a type mix; empty: types stay, except FP8, which becomes BF16
    std::string importance_path = {};              // an importance matrix; empty: none
    int32_t n_threads = 0;                         // 0: all cores. The bytes of the file do not depend on it
    std::function<bool(double)> on_progress = {};  // share done, 0 to 1, on the calling thread; false stops. May be empty
};

struct ConvertReport {
    int64_t n_tensors = 0;
    int64_t n_copied = 0;              // whose bytes went over as they were
    int64_t n_fallbacks = 0;           // whose rows do not fit the type that the mix says, so that they got another; the log names them
    int64_t n_without_importance = 0;  // quantised without importance although a matrix was given
    uint64_t source_bytes = 0;         // of all tensors' data
    uint64_t written_bytes = 0;        // the same, of the new file
};

// Writes the model at `in` to `out`, which appears (or is replaced) only when it is whole and was read back and found right.
//
// All metadata keys are kept, but those that describe the files of a split model; general.file_type and general.quantization_version say
// what was made. Norms, biases, routers and other vectors are F32. What differs in a Hugging Face folder is brought to GGUF's layout:
// rotary rows of llama are put in adjacent pairs, and a combined attn_kv_b is split into attn_k_b (transposed) and attn_v_b. A GGUF's
// tensors keep their layout.
//
// Memory: some tens of MB, some MB a thread, and the importance of one tensor; never in proportion to the model.
// Errors: those of read_model_file and of the importance matrix; UNSUPPORTED (type), INVALID_ARGUMENT (`out` is one of the model's own
// files, an importance matrix of another model), LIMIT, FORMAT (shapes that the layout's keys contradict), IO (also a disk without
// room, and bytes that read back differently), CANCELLED.
Result<ConvertReport> convert_file(const std::string& in, const std::string& out, const ConvertParams& params);

// The same for a model that is open.
Result<ConvertReport> convert_model(const ModelFile& source, const std::string& out, const ConvertParams& params);

}  // namespace ponder
