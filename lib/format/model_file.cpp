// SPDX-License-Identifier: Apache-2.0
// Finding tensors by name.
#include "format/model_file.hpp"

#include <algorithm>
#include <numeric>

#include "base/utf8.hpp"
#include "quant/quant.hpp"

namespace ponder {

uint64_t StoredTensor::n_bytes() const {
    uint64_t total = data.size();
    for (const auto& bytes : slices) total += bytes.size();
    for (const auto& bytes : scales) total += bytes.size();
    return total;
}

std::span<const std::byte> StoredTensor::slice(int64_t i) const {
    if (!slices.empty()) return slices[static_cast<size_t>(i)];
    const size_t n = data.size() / static_cast<size_t>(dims[2]);
    return data.subspan(static_cast<size_t>(i) * n, n);
}

void StoredTensor::decode_rows(int64_t i, int64_t first, int64_t n_rows, float* dst) const {
    const QuantType& quant = *find_quant_type(type);
    const auto bytes = slice(i);
    quant.decode(bytes.data() + static_cast<size_t>(first) * (bytes.size() / static_cast<size_t>(dims[1])), dst,
                 n_rows * dims[0] / quant.block_len);
    if (!scales.empty()) scale_f8_rows(dst, dims[0], first, n_rows, scales[static_cast<size_t>(i)].data());
}

uint64_t ModelFile::file_bytes() const {
    uint64_t total = 0;
    for (const MappedFile& mapped : files) total += mapped.bytes().size();
    return total;
}

int64_t ModelFile::n_parameters() const {
    int64_t total = 0;
    for (const StoredTensor& t : tensors) total += t.dims[0] * t.dims[1] * t.dims[2] * t.dims[3];
    return total;
}

void ModelFile::release(std::span<const std::byte> range) const {
    for (const MappedFile& mapped : files) {
        if (!range.empty() && mapped.contains(range)) return mapped.release(range);
    }
}

const StoredTensor* ModelFile::find(std::string_view name) const {
    const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                        [&](uint32_t index, std::string_view wanted) { return tensors[index].name < wanted; });
    if (found == by_name_.end() || tensors[*found].name != name) return nullptr;
    return &tensors[*found];
}

Result<void> ModelFile::index_tensors() {
    by_name_.resize(tensors.size());
    std::iota(by_name_.begin(), by_name_.end(), 0u);
    std::sort(by_name_.begin(), by_name_.end(), [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
    for (size_t i = 1; i < by_name_.size(); ++i) {
        if (tensors[by_name_[i - 1]].name != tensors[by_name_[i]].name) continue;
        const auto [first, second] = std::minmax(by_name_[i - 1], by_name_[i]);
        return make_error(PONDER_STATUS_FORMAT, "tensors %u and %u have the same name '%s'", first, second,
                          printable(tensors[first].name).c_str());
    }
    data_bytes = 0;
    for (const StoredTensor& tensor : tensors) data_bytes += tensor.n_bytes();
    return {};
}

}  // namespace ponder
