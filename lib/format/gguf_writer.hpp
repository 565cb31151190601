// SPDX-License-Identifier: Apache-2.0
// Writes GGUF version 3 in one pass: metadata and tensor shapes first, then the data in pieces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "format/gguf_format.hpp"
#include "format/metadata.hpp"
#include "format/output_file.hpp"

namespace ponder {

// Order of calls: create, fill metadata() and add_tensor() as often as needed, write_header, append until every tensor is complete,
// finish. The target appears with finish(); a writer destroyed before leaves nothing behind. Memory: the header, never the data.
// Files load in llama.cpp: tensors lie one behind the other in the order of add_tensor, padded to the alignment.
// After an error a writer is only good for destruction, unless the error came from add_tensor.
class GgufWriter {
  public:
    // Errors: PONDER_STATUS_IO; PONDER_STATUS_INVALID_ARGUMENT for an alignment that a reader would refuse.
    static Result<GgufWriter> create(const std::string& path, uint32_t alignment = gguf::kDefaultAlignment);

    // To be filled before write_header, which itself sets general.alignment (if it is not the default) and, where tensors are
    // quantised and the key is missing, general.quantization_version.
    Metadata& metadata() { return metadata_; }
    // Sets every key of another model but the alignment and the split.* keys, which described its files.
    void copy_metadata(const Metadata& source);

    // dims: fastest first, 1 to 4 of them. Errors: PONDER_STATUS_INVALID_ARGUMENT names the tensor and what no reader would take.
    Result<void> add_tensor(std::string_view name, int32_t type, std::span<const int64_t> dims);

    Result<void> write_header();

    // The next bytes of the first tensor that is not complete; they must not run past its end.
    // Errors: PONDER_STATUS_IO, PONDER_STATUS_INVALID_ARGUMENT.
    Result<void> append(std::span<const std::byte> data);

    // Brings the complete file to the disk and says under which name it is there until finish(), for a look at it before that.
    // Errors as finish().
    Result<std::string> flush();

    // Errors: PONDER_STATUS_IO; PONDER_STATUS_INVALID_ARGUMENT if a tensor is not complete.
    Result<void> finish();

  private:
    struct Planned {
        std::string name;
        int32_t type = 0;
        int n_dims = 0;
        std::array<int64_t, 4> dims = {1, 1, 1, 1};  // fastest first
        uint64_t n_bytes = 0;
        uint64_t offset = 0;  // from the data section
    };

    GgufWriter(OutputFile file, uint32_t alignment) : file_(std::move(file)), alignment_(alignment) {}
    Result<void> check_metadata() const;
    Result<void> check_complete() const;
    Result<void> pad();

    OutputFile file_;
    uint32_t alignment_;
    Metadata metadata_;
    std::vector<Planned> tensors_;
    std::set<std::string, std::less<>> names_;
    uint64_t data_bytes_ = 0;  // planned so far, padding included
    bool has_header_ = false;
    size_t current_ = 0;          // the tensor that append() fills
    uint64_t current_bytes_ = 0;  // of it written
};

}  // namespace ponder
