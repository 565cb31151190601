// SPDX-License-Identifier: Apache-2.0
// The safetensors files of a folder, as Hugging Face names them: model.safetensors, or shards with an index.
#pragma once

#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder::safetensors {

inline constexpr char kSingleFileName[] = "model.safetensors";
inline constexpr char kIndexName[] = "model.safetensors.index.json";

// Whether the folder has one of the two files above.
bool has_weights(const std::string& folder);

// All tensors under their stored names; the metadata is empty and index_tensors() is still to be called. With an index, exactly the
// tensors that it names are taken, each from the shard that it names; a shard is the plain name of a file in the folder.
// Errors: IO (a file that is missing, with its path), and those of parse() with the file's path; FORMAT also for an index of another
// shape, a shard that is no plain file name, and tensors that their shard does not have; LIMIT.
Result<ModelFile> read_folder(const std::string& folder);

}  // namespace ponder::safetensors
