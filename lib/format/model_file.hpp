// SPDX-License-Identifier: Apache-2.0
// What every model format is read into: metadata, named tensors, and the mapped files that both point into.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.hpp"
#include "base/result.hpp"
#include "format/metadata.hpp"

namespace ponder {

struct StoredTensor {
    std::string name;  // UTF-8, not empty
    int32_t type = 0;  // id of a QuantType
    int n_dims = 0;
    std::array<int64_t, 4> dims = {1, 1, 1, 1};  // fastest first, as GGUF has them; missing ones are 1
    std::span<const std::byte> data;             // exactly the bytes of type and dims; empty if there are slices
    int32_t file_index = 0;                      // into ModelFile::files
    uint64_t file_offset = 0;                    // of data, or of the first slice, in that file
    // [dims[2]], each the bytes of one [dims[1], dims[0]] matrix, for tensors whose matrices lie apart (safetensors stores experts so).
    std::vector<std::span<const std::byte>> slices;
    // Of type F8_E4M3 only: float32 factors [f8_blocks(dims[1]), f8_blocks(dims[0])] of each matrix (quant.hpp), [dims[2]].
    std::vector<std::span<const std::byte>> scales;

    uint64_t n_bytes() const;  // data or slices, and scales
    // Bytes of matrix i of dims[2].
    std::span<const std::byte> slice(int64_t i) const;
    // Widens rows [first, first + n_rows) of matrix `i` to dst [n_rows, dims[0]], with factors applied.
    void decode_rows(int64_t i, int64_t first, int64_t n_rows, float* dst) const;
};

// Owns the mappings; data, text and keys are views that live as long as this object (moving it keeps them).
struct ModelFile {
    Metadata metadata;
    std::vector<StoredTensor> tensors;
    std::vector<MappedFile> files;
    std::deque<std::vector<std::byte>> owned;  // data that is in no file: tensors that a reader computed
    uint64_t data_bytes = 0;                   // sum of all tensors' data

    uint64_t file_bytes() const;   // of all parts
    int64_t n_parameters() const;  // elements of all tensors

    // MappedFile::release of whichever file `range` lies in; nothing happens to bytes that are in no file.
    void release(std::span<const std::byte> range) const;

    // Null if there is none. Needs index_tensors().
    const StoredTensor* find(std::string_view name) const;

    // To be called once when `tensors` is complete. Errors: PONDER_STATUS_FORMAT if two tensors have one name.
    Result<void> index_tensors();

  private:
    std::vector<uint32_t> by_name_;  // indices into tensors, sorted by name
};

}  // namespace ponder
