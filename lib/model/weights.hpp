// SPDX-License-Identifier: Apache-2.0
// Binds a file's tensors to a program by name, checking every shape before anything runs.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "format/model_file.hpp"
#include "op/program.hpp"

namespace ponder {

class WeightBinder {
  public:
    WeightBinder(const ModelFile& file, ProgramBuilder& program) : file_(file), program_(program) {}

    // The first failure sticks; callers look at it once, at the end.
    const std::optional<Error>& failure() const { return failure_; }
    void fail(Error error);

    bool has(const std::string& name) const { return file_.find(name) != nullptr; }
    // Matrix of any stored type, dims {n_in, n_out}.
    OperandId matrix(const std::string& name, int64_t n_in, int64_t n_out);
    // Rows [first, first + n_out) of a matrix whose dims are {n_in, n_rows}.
    OperandId matrix_rows(const std::string& name, int64_t n_in, int64_t n_rows, int64_t first, int64_t n_out);
    // Matrices of one shape and any stored type, dims {n_in, n_out, n_matrices}. A file may store them flat, as {n_in, n_out * n_matrices}.
    OperandId matrices(const std::string& name, int64_t n_in, int64_t n_out, int64_t n_matrices);
    // Only checks that a tensor is there and has these dims.
    void expect(const std::string& name, std::initializer_list<int64_t> dims) { require(name, dims); }
    // F32 vector of a length; F16 and BF16 vectors are widened into constants.
    OperandId vector(const std::string& name, int64_t length);
    OperandId optional_vector(const std::string& name, int64_t length) { return has(name) ? vector(name, length) : kNoOperand; }
    // The values of a float vector.
    std::vector<float> values(const std::string& name, int64_t length);

  private:
    OperandId add_factors(const StoredTensor& tensor, int64_t n_in, int64_t first, int64_t n_out, OperandId weight);
    OperandId add_slices(const std::string& name, int32_t type, std::span<const int64_t> dims,
                         std::span<const std::span<const std::byte>> parts);
    const StoredTensor* require(const std::string& name, std::initializer_list<int64_t> dims);

    const ModelFile& file_;
    ProgramBuilder& program_;
    std::optional<Error> failure_;
};

}  // namespace ponder
