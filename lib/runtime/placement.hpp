// SPDX-License-Identifier: Apache-2.0
// Which device runs which of a model's layers: chosen from budgets of memory before any device is opened. Shared by plan and open.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "device/registry.hpp"
#include "op/partition.hpp"
#include "ponder/ponder_placement.h"

namespace ponder {

// What a device is asked to take.
struct DeviceShare {
    static constexpr int32_t kNoLayers = -1;

    DeviceRequest device{};
    int32_t n_layers = 0;       // 0: as many as `memory_bytes` holds
    uint64_t memory_bytes = 0;  // 0: what a GPU has free; no limit for a device that computes in host memory
};

// See ponder_experts.
enum class ExpertPlacement : int32_t {
    kWithLayer = PONDER_EXPERTS_WITH_LAYER,
    kOnHost = PONDER_EXPERTS_ON_CPU,
    kByMemory = PONDER_EXPERTS_BY_MEMORY
};

struct PlacementOptions {
    // Layers go to them in this order, what is left to the last if that is a host device without a limit, to the CPU otherwise. Empty: one
    // device has all layers.
    std::vector<DeviceShare> devices{};
    ExpertPlacement experts = ExpertPlacement::kWithLayer;
};

// A device and the layers [first_layer, first_layer + n_layers) that it runs.
struct PlacedDevice {
    DeviceSlot slot{};
    int32_t first_layer = 0, n_layers = 0;
    int32_t n_with_experts = 0;  // the first of them whose routed experts it runs too, where they have a device of their own
    uint64_t memory_bytes = 0;   // its budget; 0: none
    bool is_host = false;        // computes in host memory
    bool is_named = false;       // asked for by name; others may be replaced by the CPU
};

int32_t count_layers(const Program& program);
// The CPU, as what takes the rest.
Result<DeviceSlot> choose_host_device();

class PlacedProgram;

class Placement {
  public:
    // All layers on one device.
    Placement(const DeviceSlot& slot, int32_t n_threads, bool is_named);
    // Errors: NOT_FOUND (a device), INTERNAL. `program` has a cache of the usual type; budgets have to hold one session of n_tokens beside
    // the weights.
    static Result<Placement> choose(const PlacementOptions& options, int32_t n_threads, const Program& program, int64_t n_tokens);

    const std::vector<PlacedDevice>& devices() const { return devices_; }  // those with a share; at least one
    bool is_split() const { return devices_.size() > 1; }
    // The device of the routed experts that are not with their layer; -1: all are.
    int32_t expert_device() const { return expert_device_; }
    int32_t n_threads() const { return n_threads_; }

    // Rows of one run: the fewest that a device with a share asks for, so that more layers never need less memory.
    int32_t max_rows() const;
    // The device of each operator.
    std::vector<int32_t> devices_of_ops(const Program& program) const;
    // Scratch memory of one device once a sequence of n_context tokens has run.
    uint64_t scratch_bytes(const PlacedProgram& program, size_t device, int64_t n_context) const;
    // Of all devices, and of the rows that pass between them.
    uint64_t scratch_bytes(const PlacedProgram& program, int64_t n_context) const;
    // Weights of a device's piece, and the cache and scratch that one session of n_tokens needs there.
    uint64_t device_bytes(const Program& whole, const Program& piece, size_t device, int64_t n_tokens) const;

  private:
    Placement() = default;

    std::vector<PlacedDevice> devices_;
    int32_t expert_device_ = -1;
    int32_t n_threads_ = 0;
};

// A program in one piece for each device of a placement.
class PlacedProgram {
  public:
    static Result<PlacedProgram> create(Program whole, const Placement& placement);

    const Program& whole() const { return whole_; }
    size_t n_pieces() const { return is_split() ? partition_.pieces.size() : 1; }
    Program& piece(size_t i) { return is_split() ? partition_.pieces[i] : whole_; }
    const Program& piece(size_t i) const { return is_split() ? partition_.pieces[i] : whole_; }
    bool is_split() const { return !partition_.pieces.empty(); }
    // Stages, slots, numbers of operands; empty if it is not split.
    const Partition& partition() const { return partition_; }

  private:
    explicit PlacedProgram(Program whole) : whole_(std::move(whole)) {}

    Program whole_;
    Partition partition_;
};

}  // namespace ponder
