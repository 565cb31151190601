// SPDX-License-Identifier: Apache-2.0
// An operator case's program, compiled for a device.
#pragma once

#include <memory>
#include <vector>

#include "device/device.hpp"
#include "op_cases.hpp"
#include "runtime/kv_cache.hpp"
#include "runtime/weight_placement.hpp"

namespace ponder_test {

struct Expected {
    Rows rows;
    double power = 0.0;  // see CaseMaker::power
};

// A program on a device, its weights bound.
struct CompiledProgram {
    ponder::WeightPlacement placement;
    std::unique_ptr<ponder::Program> program;
    ponder::CompiledPlan plan;

    // Weights lie in the memory that they were added with, which must outlive this.
    ponder::Result<void> compile(const ponder::Device& device, ponder::ProgramBuilder&& builder, int32_t max_rows, int32_t max_outputs);
};

class PreparedCase {
  public:
    // `device` and `batch` must outlive the case.
    static ponder::Result<std::unique_ptr<PreparedCase>> create(const ponder::Device& device, const OpCase& c, const Batch& batch,
                                                                Expected& expected);
    PreparedCase(const PreparedCase&) = delete;
    PreparedCase& operator=(const PreparedCase&) = delete;

    // Rows [first, first + n) of the batch.
    ponder::Result<void> run(int32_t first, int32_t n);
    // [n_rows, width], NaN where no run has been: the operator's result through an identity matrix, which is exact in float32.
    const std::vector<float>& results() const { return results_; }

  private:
    PreparedCase(const Batch& batch) : batch_(batch), maker_(builder_, batch, 1234) {}

    ponder::Result<void> prepare(const ponder::Device& device, const OpCase& c, Expected& expected);

    const Batch& batch_;
    ponder::ProgramBuilder builder_;
    CaseMaker maker_;
    std::vector<float> identity_, results_;
    int64_t width_ = 0;
    CompiledProgram compiled_;
    ponder::MemoryBudget budget_{0};
    std::shared_ptr<ponder::KvPool> pool_;
    std::vector<std::unique_ptr<ponder::KvSequence>> sequences_;
    std::vector<ponder_kv_sequence> kv_;
    std::vector<ponder_buffer*> arenas_;
    std::vector<int32_t> output_rows_;
};

}  // namespace ponder_test
