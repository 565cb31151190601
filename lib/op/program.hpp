// SPDX-License-Identifier: Apache-2.0
// Program: an ordered list of operators over operands, checked as it is built, with its scratch memory laid out.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "ponder/ponder_backend.h"

namespace ponder {

// An operand's number in its program; -1 is "none".
using OperandId = int32_t;
inline constexpr OperandId kNoOperand = -1;

// Where the keys and values of all layers lie in a cache page.
struct KvLayout {
    int32_t type = PONDER_TYPE_F32;
    int32_t page_tokens = 32;
    uint64_t page_bytes = 0;  // sum over layers of page_tokens rows of keys and of values

    // Reserves room for one layer. Errors: UNSUPPORTED if a row is not a multiple of the cache type's block.
    Result<ponder_kv_params> add_layer(int64_t k_width, int64_t v_width);
};

// Owns everything that a ponder_program points to.
class Program {
  public:
    // Not noexcept: a deque allocates when it is moved.
    Program(Program&&) = default;
    Program& operator=(Program&&) = default;

    const ponder_program& view() const { return view_; }
    std::span<ponder_operand> operands() { return operands_; }
    std::span<const ponder_operand> operands() const { return operands_; }
    std::span<const ponder_op> ops() const { return ops_; }
    // Where a weight's matrices lie, to be bound to buffers; empty if they lie together.
    std::span<ponder_slice> slices_of(const ponder_operand& operand);
    // Bytes of weights that one decode step reads: matrices whole, of an embedding table one row, of experts those chosen.
    uint64_t decode_bytes() const;

  private:
    friend class ProgramBuilder;
    Program() = default;

    std::vector<ponder_operand> operands_;
    std::vector<ponder_op> ops_;
    std::deque<std::string> names_;             // stable storage of operand names
    std::deque<std::vector<float>> constants_;  // stable storage of constant tables
    std::deque<std::vector<ponder_slice>> slices_;
    ponder_program view_{};
};

class ProgramBuilder {
  public:
    // The bytes must outlive the program. `dims`: stored dims, fastest first.
    OperandId add_weight(std::string name, int32_t type, std::span<const int64_t> dims, std::span<const std::byte> bytes);
    OperandId add_weight(std::string name, int32_t type, std::span<const int64_t> dims, std::vector<ponder_slice> slices, uint64_t n_bytes);
    // Gives a weight of type F8_E4M3 its factors.
    void set_scales(OperandId weight, OperandId scales) { program_.operands_[static_cast<size_t>(weight)].scales = scales; }
    // Its bytes are then reached through ponder_run.source.
    void set_streamed(OperandId weight) { program_.operands_[static_cast<size_t>(weight)].is_streamed = 1; }
    OperandId add_constant(std::string name, std::vector<float> values);
    // [n_rows, width]
    OperandId add_activation(std::string name, int64_t width);
    // [n_outputs, width]
    OperandId add_output(std::string name, int64_t width);

    int64_t width(OperandId id) const { return program_.operands_[static_cast<size_t>(id)].dims[0]; }

    void set_layer(int32_t layer) { layer_ = layer; }
    KvLayout& kv() { return kv_; }

    // Operators, named as in ponder_backend.h. Those that make a new operand return it.
    OperandId embed(OperandId table);
    OperandId rms_norm(OperandId x, OperandId weight, float epsilon, OperandId delta = kNoOperand);
    void rms_norm_heads(OperandId x, OperandId weight, float epsilon);  // in place, one group a head
    void rms_norm_first(OperandId x, OperandId weight, float epsilon);  // in place, the first width(weight) elements
    OperandId matmul(OperandId x, OperandId weight, OperandId bias, const char* name);
    void rope(OperandId x, OperandId inverse_frequencies, const ponder_rope_params& params);
    void kv_write(OperandId k, OperandId v, const ponder_kv_params& params);
    OperandId attention(OperandId q, const ponder_attention_params& params);
    // v_b: kNoOperand if k_b holds both maps.
    OperandId mla_attention(OperandId q, OperandId k_b, OperandId v_b, const ponder_mla_attention_params& params);
    OperandId swiglu(OperandId gate, OperandId up);
    struct Route {
        OperandId experts, weights;  // [n_used]
    };
    Route moe_route(OperandId logits, OperandId bias, const ponder_moe_route_params& params);
    struct Experts {
        OperandId gate, up, down;  // up: kNoOperand if gate holds both
    };
    OperandId moe_ffn(OperandId x, const Route& route, const Experts& experts);
    void moe_prefetch(OperandId expert_numbers, const Experts& experts);
    void add(OperandId x, OperandId delta);
    OperandId gather_rows(OperandId x);
    void logits(OperandId x, OperandId weight, OperandId bias);
    void receive(OperandId x, int32_t slot);
    void send(OperandId x, int32_t slot);

    // An operand like that of another program, whose constants must outlive this one. Its factors, if it has any, come with it.
    OperandId add_copy(const Program& from, OperandId id);
    // An operator of another program, with the operands of this one.
    void add_op(const ponder_op& op);

    // Checks every operator (op_check.hpp) and lays out scratch. Errors: INTERNAL for an operator that breaks its shape rules.
    Result<Program> finish() &&;

  private:
    OperandId add_operand(ponder_operand operand, std::string name);
    ponder_op& append(ponder_op_kind kind, std::initializer_list<OperandId> src, std::initializer_list<OperandId> dst);

    Program program_;
    KvLayout kv_;
    int32_t layer_ = -1;
};

}  // namespace ponder
