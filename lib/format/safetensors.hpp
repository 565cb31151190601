// SPDX-License-Identifier: Apache-2.0
// One safetensors file: the length of a header, the header in JSON, the tensors' bytes without gaps.
// Format: the README of Hugging Face's safetensors library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder::safetensors {

// The tensors in the order of the header, as views of `file`; file_index is copied into each.
//
// Nothing is taken that the format does not allow: names are unique and not empty, `dtype`, `shape` and `data_offsets` are all there and
// nothing else is, data is as long as type and shape say, and every byte behind the header belongs to exactly one tensor.
// Errors: PONDER_STATUS_FORMAT; LIMIT past base/limits.hpp; UNSUPPORTED for dtypes that no StoredTensor can have. Messages name the tensor
// and the field.
Result<std::vector<StoredTensor>> parse(std::span<const std::byte> file, int32_t file_index);

}  // namespace ponder::safetensors
