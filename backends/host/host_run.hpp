// SPDX-License-Identifier: Apache-2.0
// One run of a plan in host memory, as operators see it: where operands, weights and cache rows lie.
#pragma once

#include <memory_resource>
#include <vector>

#include "host_backend.hpp"
#include "quant/quant.hpp"

namespace ponder::host {

// One matrix of a weight: what is needed to decode its rows.
struct Matrix {
    const QuantType* type = nullptr;
    int64_t n_cols = 0, n_rows = 0;
    const std::byte* data = nullptr;
    const std::byte* scales = nullptr;  // F8_E4M3 only

    // Rows [first, first + n) to dst [n, n_cols].
    void decode(int64_t first, int64_t n, float* dst) const;
};

struct Run {
    Run(ponder_compiled& plan, const ponder_run& run, ponder_error* error)
        : program(*plan.program),
          scratch(plan.scratch.get()),
          max_rows(plan.max_rows),
          pool(*plan.device->pool),
          lists(plan.lists),
          batch(run),
          failure(error) {}

    const ponder_program& program;
    float* scratch;
    const int64_t max_rows;
    ThreadPool& pool;
    // Memory for lists, of the thread that runs the operators; they end with the operator.
    std::pmr::monotonic_buffer_resource& lists;
    const ponder_run& batch;
    ponder_error* failure;  // PONDER_STATUS_OK until an operator fails

    const ponder_operand& operand(int32_t id) const { return program.operands[id]; }
    // Rows of an activation or output [n_rows(id), width(id)].
    float* rows(int32_t id) const { return scratch + operand(id).offset * static_cast<uint64_t>(max_rows); }
    int64_t width(int32_t id) const { return operand(id).dims[0]; }
    int64_t n_rows(int32_t id) const { return operand(id).role == PONDER_OPERAND_OUTPUT ? batch.n_outputs : batch.n_rows; }
    // Where matrix `slice` of a weight lies; for streamed ones nowhere: see HeldMatrix.
    const std::byte* weight(int32_t id, int64_t slice = 0) const;
    Matrix matrix(int32_t id, int64_t slice = 0) const;
    // A weight of type F32 that is a vector; null for an absent operand.
    const float* vector(int32_t id) const { return id < 0 ? nullptr : reinterpret_cast<const float*>(weight(id)); }
    // Where a row of the cache's keys or values lies; `offset` and `row_bytes` say which and how long.
    std::byte* cache_row(int32_t sequence, int64_t position, uint64_t offset, uint64_t row_bytes) const;
    bool should_stop() const {
        return failure->status != PONDER_STATUS_OK || (batch.should_stop != nullptr && batch.should_stop(batch.user_data) != 0);
    }
};

// An expert's matrix, held while it is in use if it is streamed.
class HeldMatrix {
  public:
    HeldMatrix(const Run& run, int32_t weight, int32_t expert);
    ~HeldMatrix();
    HeldMatrix(HeldMatrix&& other) noexcept;
    HeldMatrix& operator=(HeldMatrix&&) = delete;

    const Matrix& get() const { return matrix_; }

  private:
    const Run& run_;
    const int32_t weight_, expert_;
    Matrix matrix_;
    bool is_held_ = false;
};

// One place of the route: expert `expert` works on row `row` with weight `weight`.
struct Assignment {
    int32_t expert, row;
    float weight;
};

// A route's choices by expert, then row; without weights where `weights` is null.
std::pmr::vector<Assignment> sort_assignments(const Run& run, int32_t experts_id, const float* weights);

// Tells a streamed weight's source that an expert's matrix will be used.
void prefetch(const Run& run, int32_t weight, int32_t expert, bool is_guess);

// ---- Operators that are plain everywhere, one function each, over rows of float32

void embed(const Run& run, const ponder_op& op);
void rope(const Run& run, const ponder_op& op);
void kv_write(const Run& run, const ponder_op& op);
void add(const Run& run, const ponder_op& op);
void gather_rows(const Run& run, const ponder_op& op);
void moe_route(const Run& run, const ponder_op& op);
void moe_prefetch(const Run& run, const ponder_op& op);
void receive(const Run& run, const ponder_op& op);
void send(const Run& run, const ponder_op& op);

}  // namespace ponder::host
