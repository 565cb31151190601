// SPDX-License-Identifier: Apache-2.0
// Finds tensors by name and checks their shapes.
#include "model/weights.hpp"

#include <cmath>
#include <utility>

#include "quant/quant.hpp"

namespace ponder {

namespace {

std::string describe_dims(std::initializer_list<int64_t> dims) {
    std::string text = "[";
    for (const int64_t d : dims) text += (text.size() > 1 ? ", " : "") + std::to_string(d);
    return text + "]";
}

}  // namespace

void WeightBinder::fail(Error error) {
    if (!failure_) failure_ = std::move(error);
}

const StoredTensor* WeightBinder::require(const std::string& name, std::initializer_list<int64_t> dims) {
    const StoredTensor* tensor = file_.find(name);
    if (tensor == nullptr) return fail(make_error(PONDER_STATUS_FORMAT, "tensor '%s' is missing", name.c_str())), nullptr;
    size_t i = 0;
    bool matches = true;
    for (const int64_t d : dims) matches = matches && tensor->dims[i++] == d;
    for (; i < tensor->dims.size(); i++) matches = matches && tensor->dims[i] == 1;
    if (!matches) {
        const auto& d = tensor->dims;
        fail(make_error(PONDER_STATUS_FORMAT, "tensor '%s' is %s, the hyper-parameters ask for %s", name.c_str(),
                        describe_dims({d[0], d[1], d[2], d[3]}).c_str(), describe_dims(dims).c_str()));
        return nullptr;
    }
    return tensor;
}

OperandId WeightBinder::matrix(const std::string& name, int64_t n_in, int64_t n_out) { return matrix_rows(name, n_in, n_out, 0, n_out); }

OperandId WeightBinder::matrix_rows(const std::string& name, int64_t n_in, int64_t n_rows, int64_t first, int64_t n_out) {
    const StoredTensor* tensor = require(name, {n_in, n_rows});
    if (tensor == nullptr) return kNoOperand;
    const size_t row = tensor->data.size() / static_cast<size_t>(n_rows);
    const int64_t dims[] = {n_in, n_out};
    const OperandId weight = program_.add_weight(name, tensor->type, dims,
                                                 tensor->data.subspan(static_cast<size_t>(first) * row, static_cast<size_t>(n_out) * row));
    return add_factors(*tensor, n_in, first, n_out, weight);
}

OperandId WeightBinder::add_factors(const StoredTensor& tensor, int64_t n_in, int64_t first, int64_t n_out, OperandId weight) {
    if (tensor.scales.empty()) return weight;
    if (first % kF8ScaleBlock != 0) {
        return fail(make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s': rows from %lld on do not begin at a block of factors",
                               tensor.name.c_str(), static_cast<long long>(first))),
               kNoOperand;
    }
    const int64_t dims[] = {f8_blocks(n_in), f8_blocks(n_out), static_cast<int64_t>(tensor.scales.size())};
    const std::string name = tensor.name + "_scale_inv";
    if (tensor.scales.size() == 1) {
        const auto n_bytes = static_cast<size_t>(dims[0] * dims[1]) * sizeof(float);
        const auto begin = static_cast<size_t>(first / kF8ScaleBlock * dims[0]) * sizeof(float);
        program_.set_scales(weight, program_.add_weight(name, PONDER_TYPE_F32, dims, tensor.scales[0].subspan(begin, n_bytes)));
        return weight;
    }
    program_.set_scales(weight, add_slices(name, PONDER_TYPE_F32, dims, tensor.scales));
    return weight;
}

OperandId WeightBinder::add_slices(const std::string& name, int32_t type, std::span<const int64_t> dims,
                                   std::span<const std::span<const std::byte>> parts) {
    std::vector<ponder_slice> slices;
    uint64_t n_bytes = 0;
    for (const auto& part : parts) {
        slices.push_back({.buffer = nullptr, .offset = 0, .host_data = part.data()});
        n_bytes += part.size();
    }
    return program_.add_weight(name, type, dims, std::move(slices), n_bytes);
}

OperandId WeightBinder::matrices(const std::string& name, int64_t n_in, int64_t n_out, int64_t n_matrices) {
    const StoredTensor* found = file_.find(name);
    const bool is_flat = found != nullptr && found->dims[2] == 1 && n_matrices > 1 && found->dims[1] == n_out * n_matrices;
    const StoredTensor* tensor = is_flat ? require(name, {n_in, n_out * n_matrices}) : require(name, {n_in, n_out, n_matrices});
    if (tensor == nullptr) return kNoOperand;
    const int64_t dims[] = {n_in, n_out, n_matrices};
    if (is_flat && !tensor->scales.empty()) {
        return fail(make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s': FP8 matrices that lie flat", name.c_str())), kNoOperand;
    }
    const OperandId weight = tensor->slices.empty() ? program_.add_weight(name, tensor->type, dims, tensor->data)
                                                    : add_slices(name, tensor->type, dims, tensor->slices);
    return add_factors(*tensor, n_in, 0, n_out, weight);
}

std::vector<float> WeightBinder::values(const std::string& name, int64_t length) {
    const StoredTensor* tensor = require(name, {length});
    if (tensor == nullptr) return {};
    const QuantType* type = find_quant_type(tensor->type);
    if (type->block_len != 1 || !tensor->scales.empty()) {
        return fail(make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s' is a vector of type %s; floats are expected", name.c_str(),
                               type->name)),
               std::vector<float>{};
    }
    std::vector<float> values(static_cast<size_t>(length));
    type->decode(tensor->data.data(), values.data(), length);
    return values;
}

OperandId WeightBinder::vector(const std::string& name, int64_t length) {
    // Files may store vectors unaligned or narrow; a copy in constants is small and always F32.
    auto decoded = values(name, length);
    return decoded.empty() ? kNoOperand : program_.add_constant(name, std::move(decoded));
}

}  // namespace ponder
