// SPDX-License-Identifier: Apache-2.0
// Model: an open file, its text side and its graph on a device. Immutable once open; shared by sessions, which keep it alive.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "format/model_file.hpp"
#include "model/architecture.hpp"
#include "runtime/executor.hpp"
#include "runtime/expert_cache.hpp"
#include "runtime/memory_budget.hpp"
#include "runtime/memory_needs.hpp"
#include "runtime/placement.hpp"
#include "runtime/sampler.hpp"
#include "runtime/text_side.hpp"
#include "runtime/weight_loading.hpp"
#include "runtime/weight_placement.hpp"

namespace ponder {

struct ModelOptions {
    DeviceRequest device;
    int32_t n_threads = 0;
    uint64_t memory_cap = 0;
    ProgressCallback progress;
    std::span<const std::byte> device_cache{};  // of an earlier process; read while the model opens
    PlacementOptions placement{};               // with devices, these take the place of `device`
    WeightMemory weights = WeightMemory::kAuto;
};

// Type of the caches of sessions that name none: F16, and F32 where the reference is the first device.
int32_t usual_kv_type(const ModelOptions& options);

// Where a model of these options runs. `program`: with a cache of the usual type. Errors: NOT_FOUND.
Result<Placement> choose_placement(const ModelOptions& options, const HyperParameters& hyper_parameters, const Program& program);

// The text side of a file whose graph is known. Errors: FORMAT for a vocabulary that has more entries than the embedding has rows.
Result<std::shared_ptr<const TextSide>> read_text_side(const ModelFile& file, const HyperParameters& hyper_parameters);

// Sampling values that a file recommends (general.sampling.*), with the library's defaults where it is silent.
SamplerParams read_sampling_defaults(const Metadata& metadata, bool has_template);

class Model {
  public:
    // Errors: see ponder_model_open.
    static Result<std::shared_ptr<Model>> open(const std::string& path, const ModelOptions& options);

    const HyperParameters& hyper_parameters() const { return hyper_parameters_; }
    const std::shared_ptr<const TextSide>& text() const { return text_; }
    // The first of its devices, which has its first layer.
    const Device& device() const { return *devices_.front(); }
    const Placement& placement() const { return *placement_; }
    int32_t kv_type() const { return kv_type_; }  // see usual_kv_type
    // What its devices keep for the next process.
    Result<std::vector<std::byte>> read_device_cache() const;
    const ponder_model_info& info() const { return info_; }
    const SamplerParams& sampling_defaults() const { return sampling_defaults_; }

    // The program compiled for a cache type; made at its first use, then shared. Errors: UNSUPPORTED, MEMORY_CAP, OUT_OF_MEMORY, BUSY (a
    // first use inside a callback of the model's work).
    Result<Executor*> executor(int32_t kv_type);

    // Whether experts are read when they are needed, and what that has done so far.
    bool is_streaming() const { return experts_ != nullptr; }
    ponder_streaming_info streaming_info() const;

  private:
    explicit Model(uint64_t memory_cap) : memory_cap_(memory_cap), budget_(memory_cap) {}
    Result<ModelGraph> build(int32_t kv_type) const { return build_graph(file_, {.kv_type = kv_type, .is_streaming = is_streaming()}); }
    // gives_way: whether another attempt should be made on the CPU if a device fails.
    static Result<std::shared_ptr<Model>> open_once(const std::string& path, const ModelOptions& options, bool& gives_way);
    Result<void> open_devices(const ModelOptions& options, const PlacedProgram& program);
    Result<void> test_device(size_t i, const PlacedProgram& program) const;
    Result<bool> place_weights(PlacedProgram& program);
    Result<void> make_expert_cache(const Residence& residence, uint64_t allowed);
    void forget_vocabulary();
    Executor* find_executor(int32_t kv_type);
    int64_t n_tokens_run() const;
    Result<std::unique_ptr<Executor>> make_executor(PlacedProgram program);
    void describe(const Program& program);

    ModelFile file_;
    std::string path_;
    std::shared_ptr<const TextSide> text_;
    HyperParameters hyper_parameters_;
    SamplerParams sampling_defaults_;
    uint64_t memory_cap_;
    MemoryBudget budget_;
    int32_t kv_type_ = PONDER_TYPE_F16;
    std::optional<Placement> placement_;            // none until devices are opened
    std::vector<std::unique_ptr<Device>> devices_;  // as the placement has them
    Turns turns_;                                   // on all of them
    std::vector<WeightPlacement> weights_;          // [devices]
    std::unique_ptr<ExpertCache> experts_;
    ponder_model_info info_{};
    mutable std::mutex executors_mutex_;
    std::map<int32_t, std::unique_ptr<Executor>> executors_;  // by cache type; their programs point into file_
    bool is_executor_used_ = false;                           // whether a session has asked for one
    std::unique_ptr<WeightCopier> copier_;                    // of file_'s weights; null if they stay where they are
};

}  // namespace ponder
