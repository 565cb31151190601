// SPDX-License-Identifier: Apache-2.0
// Models built by hand as readers of other formats present them, and what tests of conversions ask of files.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/gguf_bytes.hpp"
#include "format/gguf_reader.hpp"
#include "quant/quant.hpp"
#include "runtime/convert.hpp"

namespace ponder_test {

inline std::vector<float> random_values(size_t n, uint32_t seed, float spread = 1.0f) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> values(n);
    for (float& value : values) value = normal(random);
    return values;
}

// All values of a tensor, matrix after matrix.
inline std::vector<float> values_of(const ponder::StoredTensor& tensor) {
    const auto per_matrix = static_cast<size_t>(tensor.dims[0] * tensor.dims[1]);
    std::vector<float> values(per_matrix * static_cast<size_t>(tensor.dims[2]));
    for (int64_t i = 0; i < tensor.dims[2]; ++i) {
        tensor.decode_rows(i, 0, tensor.dims[1], values.data() + static_cast<size_t>(i) * per_matrix);
    }
    return values;
}

inline double relative_error(const std::vector<float>& exact, const std::vector<float>& other) {
    REQUIRE(exact.size() == other.size());
    double error = 0, power = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
        const auto x = static_cast<double>(exact[i]), difference = static_cast<double>(other[i]) - x;
        error += difference * difference;
        power += x * x;
    }
    return std::sqrt(error / power);
}

class HandBuilt {
  public:
    ponder::ModelFile model;

    void key(std::string_view name, uint32_t value) { model.metadata.set(name, ponder::Value::from_u32(value)); }
    void key(std::string_view name, std::string_view text) { model.metadata.set(name, ponder::Value::from_string(text)); }

    std::span<const std::byte> keep(std::span<const std::byte> bytes) {
        model.owned.emplace_back(bytes.begin(), bytes.end());
        return model.owned.back();
    }

    // Values of `type` rounded from `values`.
    ponder::StoredTensor& add(std::string_view name, std::initializer_list<int64_t> dims, std::string_view type,
                              const std::vector<float>& values) {
        const ponder::QuantType& quant = *ponder::find_quant_type(type);
        std::vector<std::byte> bytes(values.size() / quant.block_len * quant.block_bytes);
        quant.encode(values.data(), bytes.data(), static_cast<int64_t>(values.size() / quant.block_len), nullptr);
        return add_bytes(name, dims, type, bytes);
    }
    ponder::StoredTensor& add_bytes(std::string_view name, std::initializer_list<int64_t> dims, std::string_view type,
                                    std::span<const std::byte> bytes) {
        ponder::StoredTensor tensor;
        tensor.name = name;
        tensor.type = ponder::find_quant_type(type)->id;
        tensor.n_dims = static_cast<int>(dims.size());
        std::copy(dims.begin(), dims.end(), tensor.dims.begin());
        tensor.data = keep(bytes);
        model.tensors.push_back(std::move(tensor));
        return model.tensors.back();
    }

    // What is written to `path`, read again.
    ponder::ModelFile convert(const std::string& path, const ponder::ConvertParams& params = {}) {
        REQUIRE(model.index_tensors());
        const auto made = ponder::convert_model(model, path, params);
        REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
        auto file = ponder::read_gguf(path);
        REQUIRE_MESSAGE(file, (file ? "" : file.error().message));
        return std::move(*file);
    }

    // The error of a conversion that must fail and leave nothing.
    ponder::Error refusal(const ponder::ConvertParams& params = {}) {
        const TemporaryFolder folder;
        REQUIRE(model.index_tensors());
        const auto made = ponder::convert_model(model, folder.path("out.gguf"), params);
        REQUIRE_FALSE(made);
        CHECK(std::filesystem::is_empty(folder.path("")));
        return made.error();
    }
};

inline std::string type_of(const ponder::ModelFile& file, std::string_view tensor) {
    const auto* found = file.find(tensor);
    REQUIRE_MESSAGE(found != nullptr, std::string(tensor));
    return ponder::find_quant_type(found->type)->name;
}

inline bool mentions(const ponder::Error& error, std::string_view part) {
    const bool found = error.message.find(part) != std::string::npos;
    if (!found) MESSAGE(error.message);
    return found;
}

}  // namespace ponder_test
