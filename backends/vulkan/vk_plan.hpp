// SPDX-License-Identifier: Apache-2.0
// A program compiled for a device: weights in place, scratch, and the commands of each shape class, recorded once and replayed.
#pragma once

#include <list>
#include <memory>
#include <mutex>

#include "host/run_check.hpp"
#include "vk_recording.hpp"

namespace ponder::vk {

class Plan {
  public:
    static Result<std::unique_ptr<Plan>> create(Device& device, const ponder_program& program, int32_t max_rows, int32_t max_outputs);
    ~Plan();
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    Result<void> run(const ponder_run& run);
    static uint64_t scratch_bytes(const ponder_program& program, int32_t max_rows, int32_t max_outputs, int64_t n_context);

  private:
    struct ShapeClass {
        int32_t n_rows, n_outputs;
        host::RunPart part;
        bool selects;  // the likeliest tokens, in place of logits
        std::vector<Segment> segments;
    };

    Plan(Device& device, const ponder_program& program, int32_t max_rows, int32_t max_outputs)
        : device_(device),
          program_(program),
          max_rows_(max_rows),
          max_outputs_(max_outputs),
          check_(program, max_rows, max_outputs),
          data_(device, program),
          selector_(device) {}
    Result<void> start();
    Result<void> place_weights();
    Result<ShapeClass*> shape_class(int32_t n_rows, int32_t n_outputs, host::RunPart part, bool selects);
    Result<void> deliver_logits(const ponder_run& run, const Segment& segment, ponder_selection* selections);
    void forget(ShapeClass& shape);

    Device& device_;
    const ponder_program& program_;
    const int32_t max_rows_, max_outputs_;
    const host::RunCheck check_;
    Layout layout_;
    RunData data_;
    PlacedWeights weights_;
    Selector selector_;
    Allocation scratch_, logits_, host_logits_;
    uint32_t logits_stride_ = 0;
    VkFence fence_ = VK_NULL_HANDLE;
    size_t max_classes_ = 0;
    std::list<ShapeClass> classes_;  // the latest used first
};

}  // namespace ponder::vk
