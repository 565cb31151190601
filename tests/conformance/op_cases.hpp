// SPDX-License-Identifier: Apache-2.0
// The table of operator cases: each builds a small program around one operator and says, in double precision, what must come out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "op/program.hpp"
#include "quant/quant.hpp"

namespace ponder_test {

using Rows = std::vector<std::vector<double>>;  // [n_rows][width]

// Rows of a batch: two sequences of unequal length, so that positions and pages differ.
struct Batch {
    std::vector<int32_t> tokens, positions, sequences;
    std::vector<int32_t> lengths;  // [n_sequences]
};

// Makes operands whose values the case knows. Weight bytes live as long as the maker.
class CaseMaker {
  public:
    CaseMaker(ponder::ProgramBuilder& target, const Batch& rows, uint32_t seed) : program(target), batch(rows), random_(seed) {}

    // An activation [n_rows, width] of known values, made by an embed from a table of its own.
    ponder::OperandId input(int64_t width, Rows& values);
    // A matrix [n_out, n_in] of a stored type; `values` are its rows, decoded.
    ponder::OperandId matrix(int32_t type, int64_t n_in, int64_t n_out, Rows& values) {
        return matrices(type, n_in, n_out, 1, false, values);
    }
    // n matrices [n_out, n_in] in one weight, together or each in a place of its own; `values` are all their rows, decoded.
    ponder::OperandId matrices(int32_t type, int64_t n_in, int64_t n_out, int64_t n, bool is_sliced, Rows& values);
    ponder::OperandId vector(int64_t length, std::vector<double>& values, float offset = 0.0f);

    ponder::ProgramBuilder& program;
    const Batch& batch;
    // Sum of the squared terms of all results: what errors are measured against where terms cancel. 0: the results' own squares.
    double power = 0.0;

  private:
    std::vector<std::byte>& make_blocks(const ponder::QuantType& type, size_t n_blocks);

    std::mt19937 random_;
    std::vector<std::unique_ptr<std::vector<std::byte>>> bytes_;
};

struct OpCase {
    std::string name;
    double limit;  // mean squared error over mean power; the reason stands where the case is made
    int32_t kv_type = PONDER_TYPE_F32;
    // Adds the operator and sets what its result must be; returns the result.
    std::function<ponder::OperandId(CaseMaker& maker, Rows& expected)> build;
    double rounded_limit = 0.0;  // the limit for backends that round activations, where it is larger
    bool is_of_floats = false;   // products of stored floats alone, which the CPU takes more exactly than that
};

// softmax(scale * q . K) . V of one head, over the rows of the same sequence up to the row itself; k and v [n_rows] hold several heads.
std::vector<double> attend(const Batch& batch, size_t row, const double* q, const Rows& k, const Rows& v, int64_t kv_head, int64_t k_dim,
                           int64_t v_dim, double scale);
// [weight rows] = the weight's rows times x.
std::vector<double> product(const std::vector<double>& x, const Rows& weight);

Batch make_batch(int n_rows);
// Sequences of so many rows, in order but for the last row of each: these come last.
Batch make_long_batch(const std::vector<int32_t>& lengths);
std::vector<OpCase> op_cases();
// Attention of few and of many heads, for long batches.
std::vector<OpCase> long_attention_cases();
// Latent attention, routing and experts.
std::vector<OpCase> deepseek_op_cases();
std::vector<OpCase> long_latent_cases();

}  // namespace ponder_test
