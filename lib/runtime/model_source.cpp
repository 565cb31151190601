// SPDX-License-Identifier: Apache-2.0
// Chooses the reader of a path.
#include "runtime/model_source.hpp"

#include "format/gguf_reader.hpp"

namespace ponder {

Result<ModelFile> read_model_file(const std::string& path) { return read_gguf(path); }

}  // namespace ponder
