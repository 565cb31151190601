// SPDX-License-Identifier: Apache-2.0
// One GGUF file, parsed and checked on its own; a model is one part or several.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "format/metadata.hpp"
#include "format/model_file.hpp"

namespace ponder::gguf {

// Views into the bytes it was parsed from.
struct Part {
    Metadata metadata;
    std::vector<StoredTensor> tensors;  // in file order; data set, file_index as given
};

// Reads the header only: no byte of tensor data is touched, but every tensor is known to lie inside `file`, aligned and apart
// from all others. Time is O(n log n) in the header's size; memory stays within a small multiple of it.
// Errors: PONDER_STATUS_FORMAT, _LIMIT or _UNSUPPORTED; messages name the field but not the file.
Result<Part> parse_part(std::span<const std::byte> file, int32_t file_index);

}  // namespace ponder::gguf
