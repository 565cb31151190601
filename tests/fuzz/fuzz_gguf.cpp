// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the GGUF reader: whatever the bytes are, the answer is a model whose promises hold, or a status with a message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "format/gguf_reader.hpp"
#include "model/file_remarks.hpp"

namespace {

void require(bool is_true) {
    if (!is_true) std::abort();
}

// Every getter on every key: a wrong type is an answer, too.
void read_values(const ponder::Metadata& metadata) {
    for (const auto& [key, value] : metadata.entries()) {
        require(metadata.find(key) == &value);
        size_t n = 0;
        n += metadata.get_u32(key) ? 1 : 0;
        n += metadata.get_i64(key) ? 1 : 0;
        n += metadata.get_f32(key) ? 1 : 0;
        n += metadata.get_bool(key) ? 1 : 0;
        n += metadata.get_string(key) ? 1 : 0;
        n += metadata.get_strings(key) ? 1 : 0;
        n += metadata.get_integers(key) ? 1 : 0;
        n += metadata.get_numbers(key) ? 1 : 0;
        require(n <= 3);
        for (size_t i = 0; i < value.numbers().size(); ++i) value.numbers().int64_at(i);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto model = ponder::read_gguf_bytes(bytes, "fuzz");
    if (!model) {
        require(model.error().status != PONDER_STATUS_OK && model.error().message.starts_with("fuzz: "));
        return 0;
    }
    read_values(model->metadata);
    for (const std::string& remark : ponder::file_remarks(*model)) require(!remark.empty());
    uint64_t data_bytes = 0;
    for (const auto& tensor : model->tensors) {
        require(model->find(tensor.name) == &tensor);
        require(tensor.file_offset <= size && tensor.data.size() <= size - tensor.file_offset);
        require(tensor.data.data() == bytes.data() + tensor.file_offset);
        for (const int64_t dim : tensor.dims) require(dim > 0);
        data_bytes += tensor.data.size();
    }
    require(data_bytes == model->data_bytes && data_bytes <= size);
    return 0;
}
