// SPDX-License-Identifier: Apache-2.0
// Opens GGUF models (versions 2 and 3, whole or split) as mapped files.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder {

// `path` is a whole model or the first part of a split one ("NAME-00001-of-00003.gguf"), whose other parts lie beside it.
// Only headers are read; tensor data stays untouched in the mapping. What is promised about the result: keys and tensor names are
// unique UTF-8; dims are positive; every tensor's type is known, its rows are whole blocks, its data lies aligned inside its file
// and apart from every other tensor's. Not promised: that string values are UTF-8, or that anything fits an architecture.
// Errors, each with file, field, value and limit:
//   PONDER_STATUS_IO                a file cannot be opened or mapped
//   PONDER_STATUS_FORMAT            malformed, cut short, or parts that do not belong together
//   PONDER_STATUS_LIMIT             past a limit of base/limits.hpp
//   PONDER_STATUS_UNSUPPORTED       version 1, big-endian, arrays of arrays, tensor types that were removed or are unknown
//   PONDER_STATUS_INVALID_ARGUMENT  a part other than the first
Result<ModelFile> read_gguf(const std::string& path);

// The same over bytes in memory, which must outlive the result (its `files` stays empty); `name` stands for the path in messages.
// A part of a split model is PONDER_STATUS_UNSUPPORTED here.
Result<ModelFile> read_gguf_bytes(std::span<const std::byte> bytes, const std::string& name);

}  // namespace ponder
