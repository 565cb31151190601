// SPDX-License-Identifier: Apache-2.0
// The tensors of a synthetic model while they are listed, with gains instead of standard deviations.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/synth_shapes.hpp"

namespace ponder::synth {

class TensorList {
  public:
    explicit TensorList(int32_t float_type) : float_type_(float_type) {}

    // A matrix whose outputs have the standard deviation `gain` for inputs of variance 1.
    void add_matrix(const std::string& name, TensorRole role, int32_t layer, int64_t n_cols, int64_t n_rows, float gain = 1.0f) {
        tensors_.push_back({name, role, layer, n_cols, n_rows, float_type_, 0.0f, gain / std::sqrt(static_cast<float>(n_cols))});
    }
    // n_matrices such ones in one tensor.
    void add_matrices(const std::string& name, TensorRole role, int32_t layer, int64_t n_cols, int64_t n_rows, int32_t n_matrices,
                      float gain = 1.0f) {
        add_matrix(name, role, layer, n_cols, n_rows, gain);
        tensors_.back().n_matrices = n_matrices;
    }
    void add_vector(const std::string& name, TensorRole role, int32_t layer, int64_t n, float mean, float std_dev) {
        tensors_.push_back({name, role, layer, n, 1, float_type_, mean, std_dev});
    }
    void add_norm(const std::string& name, int32_t layer, int64_t n) { add_vector(name, TensorRole::kNorm, layer, n, 1.0f, 0.1f); }
    void add_bias(const std::string& name, int32_t layer, int64_t n) { add_vector(name, TensorRole::kBias, layer, n, 0.0f, 0.1f); }

    std::vector<SynthTensor> take() { return std::move(tensors_); }

  private:
    int32_t float_type_;
    std::vector<SynthTensor> tensors_;
};

}  // namespace ponder::synth
