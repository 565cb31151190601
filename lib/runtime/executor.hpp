// SPDX-License-Identifier: Apache-2.0
// Executor: a model's Program compiled for its devices and one cache type, and the only way to run it; all executors of a model take turns.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <span>
#include <vector>

#include "device/device.hpp"
#include "runtime/expert_source.hpp"
#include "runtime/kv_cache.hpp"
#include "runtime/placement.hpp"
#include "runtime/row_table.hpp"
#include "runtime/turns.hpp"

namespace ponder {

// Tokens to append to one sequence, and where the logits of the last n_rows of them go.
struct EvaluateItem {
    KvSequence* sequence = nullptr;
    std::span<const int32_t> tokens;
    float* logits = nullptr;  // [n_rows, n_vocab]
    size_t n_rows = 0;
    const ponder_selection* selection = nullptr;  // for the only row
};

class Executor {
  public:
    // Rows of one run that may ask for logits: a row of the vocabulary each.
    static constexpr int32_t kMaxOutputs = 128;

    // The weights of each piece of the program must be bound to buffers of its device; all executors of the devices share their turns.
    // file: the program's own. experts: null if no weights are streamed.
    static Result<std::unique_ptr<Executor>> create(std::span<const std::unique_ptr<Device>> devices, Turns& turns, MemoryBudget& budget,
                                                    const ModelFile& file, ExpertCache* experts, PlacedProgram program, int32_t max_rows);
    ~Executor();

    const std::shared_ptr<KvPool>& kv_pool() const { return kv_pool_; }

    // Announces a sequence that may grow to n_context tokens: what scratch memory grows with it is taken from the budget, and stays taken.
    // Errors: MEMORY_CAP. Any thread.
    Result<void> expect_context(int64_t n_context);

    int64_t n_tokens_run() const { return n_tokens_run_.load(std::memory_order_relaxed); }

    // Appends all items' tokens, all or nothing. Errors: CANCELLED, BUSY, MEMORY_CAP, OUT_OF_MEMORY, DEVICE, DEVICE_LOST. Any thread.
    Result<void> evaluate(std::span<const EvaluateItem> items, WorkControl& control);

  private:
    // One row of the batch: a token of an item.
    struct Row {
        size_t item;
        size_t index;
        bool is_output;
    };

    // A piece of the program on its device.
    struct Part {
        explicit Part(const Device& own) : device(own) {}

        const Device& device;
        CompiledPlan plan;
        std::unique_ptr<PieceSource> experts;  // null if the piece is the whole, or without streamed weights
        std::vector<ponder_buffer*> arenas;    // of the run under way
    };

    Executor(Turns& turns, MemoryBudget& budget, PlacedProgram program, int32_t max_rows)
        : turns_(turns), budget_(budget), program_(std::move(program)), max_rows_(max_rows) {}
    Result<void> prepare(std::span<const std::unique_ptr<Device>> devices, const ModelFile& file, ExpertCache* experts);
    Result<void> run_stages(ponder_run& run, WorkControl& control);
    Result<void> append(std::span<const EvaluateItem> items, std::span<const int64_t> starts, WorkControl& control,
                        std::pmr::memory_resource& lists);
    Result<void> run_rows(std::span<const EvaluateItem> items, std::span<const int64_t> starts, std::span<const Row> rows,
                          WorkControl& control);

    Turns& turns_;
    MemoryBudget& budget_;
    PlacedProgram program_;
    const int32_t max_rows_;  // of one run, the unit in which sessions take turns
    std::mutex scratch_mutex_;
    uint64_t scratch_bytes_ = 0;             // taken from the budget
    std::unique_ptr<ExpertSource> experts_;  // null without streamed weights
    std::unique_ptr<RowTable> embedding_;    // null if it stays in memory
    std::vector<Part> parts_;                // [pieces of the program]
    std::atomic<int64_t> n_tokens_run_{0};
    std::shared_ptr<KvPool> kv_pool_;

    // Buffers of the run under way.
    std::vector<int32_t> tokens_, positions_, sequences_, output_rows_;
    std::vector<ponder_kv_sequence> kv_;
    std::vector<float> logits_;
    std::vector<ponder_selection> selections_;
    std::vector<std::vector<float>> transfers_;  // [slots][max_rows, width]: rows between devices
    std::vector<float*> transfer_views_;
};

}  // namespace ponder
