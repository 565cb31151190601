// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the safetensors reader: whatever the bytes are, the answer is tensors that cover the file, or a status with a message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "format/safetensors.hpp"

namespace {

void require(bool is_true) {
    if (!is_true) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto tensors = ponder::safetensors::parse(bytes, 3);
    if (!tensors) {
        require(tensors.error().status != PONDER_STATUS_OK && !tensors.error().message.empty());
        return 0;
    }
    uint64_t data_bytes = 0;
    for (const auto& tensor : *tensors) {
        require(!tensor.name.empty() && tensor.file_index == 3 && tensor.n_dims >= 1);
        require(tensor.file_offset <= size && tensor.data.size() <= size - tensor.file_offset);
        require(tensor.data.data() == bytes.data() + tensor.file_offset);
        for (const int64_t dim : tensor.dims) require(dim > 0);
        require(tensor.n_bytes() == tensor.data.size());
        data_bytes += tensor.data.size();
    }
    require(data_bytes < size);
    return 0;
}
