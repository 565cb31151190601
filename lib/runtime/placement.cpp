// SPDX-License-Identifier: Apache-2.0
// Gives devices layers in the order of the list, as many as their budgets hold.
#include "runtime/placement.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "runtime/executor.hpp"
#include "runtime/memory_needs.hpp"
#include "runtime/weight_placement.hpp"

namespace ponder {

namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

bool is_expert_op(const ponder_op& op) { return op.kind == PONDER_OP_MOE_FFN || op.kind == PONDER_OP_MOE_PREFETCH; }

ponder_device_info describe(const DeviceSlot& slot) {
    ponder_device_info info = PONDER_DEVICE_INFO_INIT;
    slot.backend->device_describe(slot.local_index, &info, nullptr);
    return info;
}

uint64_t scratch_of(const DeviceSlot& slot, const Program& piece, int32_t max_rows, int32_t n_threads, int64_t n_context) {
    if (piece.ops().empty()) return 0;
    return slot.backend->scratch_bytes(&piece.view(), max_rows, Executor::kMaxOutputs, n_threads, n_context);
}

}  // namespace

int32_t count_layers(const Program& program) {
    int32_t n = 0;
    for (const ponder_op& op : program.ops()) n = std::max(n, op.layer + 1);
    return n;
}

Result<DeviceSlot> choose_host_device() {
    auto host = choose_device({.backend = "cpu"});
    return host ? host : choose_device({.backend = "reference"});
}

Placement::Placement(const DeviceSlot& slot, int32_t n_threads, bool is_asked_for) : n_threads_(n_threads) {
    devices_.push_back(
        {.slot = slot, .n_layers = std::numeric_limits<int32_t>::max(), .is_host = describe(slot).n_threads > 0, .is_named = is_asked_for});
}

int32_t Placement::max_rows() const {
    int32_t fewest = std::numeric_limits<int32_t>::max();
    for (size_t i = 0; i < devices_.size(); i++) {
        const bool has_share = devices_[i].n_layers > 0 || static_cast<int32_t>(i) == expert_device_;
        if (has_share) fewest = std::min(fewest, devices_[i].slot.rows_of_run());
    }
    return fewest;
}

std::vector<int32_t> Placement::devices_of_ops(const Program& program) const {
    const auto device_of_layer = [this](int32_t layer) {
        int32_t device = 0;
        for (size_t i = 0; i < devices_.size(); i++) {
            if (devices_[i].n_layers > 0 && layer >= devices_[i].first_layer) device = static_cast<int32_t>(i);
        }
        return device;
    };
    std::map<OperandId, int32_t> device_of_experts;  // by what they are multiplied by first
    for (const ponder_op& op : program.ops()) {
        if (op.kind != PONDER_OP_MOE_FFN) continue;
        const int32_t own = device_of_layer(op.layer);
        const PlacedDevice& device = devices_[static_cast<size_t>(own)];
        const bool is_apart = expert_device_ >= 0 && op.layer >= device.first_layer + device.n_with_experts;
        device_of_experts[op.src[3]] = is_apart ? expert_device_ : own;
    }
    std::vector<int32_t> devices;
    int32_t layer = 0;  // what lies outside of layers goes with the one before it; the beginning, with the first
    for (const ponder_op& op : program.ops()) {
        layer = std::max(layer, op.layer);
        const int32_t experts = op.src[op.kind == PONDER_OP_MOE_FFN ? 3 : 1];
        devices.push_back(is_expert_op(op) && device_of_experts.contains(experts) ? device_of_experts[experts] : device_of_layer(layer));
    }
    return devices;
}

uint64_t Placement::scratch_bytes(const PlacedProgram& program, size_t device, int64_t n_context) const {
    return scratch_of(devices_[device].slot, program.piece(device), max_rows(), n_threads_, n_context);
}

uint64_t Placement::scratch_bytes(const PlacedProgram& program, int64_t n_context) const {
    uint64_t total = program.partition().transfer_bytes(max_rows());
    for (size_t i = 0; i < devices_.size(); i++) total += scratch_bytes(program, i, n_context);
    return total;
}

uint64_t Placement::device_bytes(const Program& whole, const Program& piece, size_t device, int64_t n_tokens) const {
    return resident_bytes(piece) + kv_cache_bytes(whole.view(), piece.view().kv_page_bytes, n_tokens) +
           scratch_of(devices_[device].slot, piece, max_rows(), n_threads_, n_tokens);
}

Result<Placement> Placement::choose(const PlacementOptions& options, int32_t n_threads, const Program& program, int64_t n_tokens) {
    Placement placement;
    placement.n_threads_ = n_threads;
    const int32_t n_layers = count_layers(program);
    std::vector<int32_t> wanted;  // layers, 0: by memory
    for (const DeviceShare& share : options.devices) {
        const auto slot = choose_device(share.device);
        if (!slot) return slot.error();
        const bool is_host = describe(*slot).n_threads > 0;
        const bool needs_budget = share.n_layers == 0 || (share.n_layers > 0 && options.experts == ExpertPlacement::kByMemory);
        const uint64_t memory = share.memory_bytes != 0 || is_host || !needs_budget ? share.memory_bytes : slot->free_bytes() / 10 * 9;
        placement.devices_.push_back({.slot = *slot, .memory_bytes = memory, .is_host = is_host, .is_named = share.device.is_named()});
        wanted.push_back(share.n_layers);
    }
    const bool takes_rest = !placement.devices_.empty() && placement.devices_.back().is_host && wanted.back() <= 0 &&
                            placement.devices_.back().memory_bytes == 0;
    if (!takes_rest) {
        const auto host = choose_host_device();
        if (!host) return host.error();
        placement.devices_.push_back({.slot = *host, .is_host = true, .is_named = true});
        wanted.push_back(0);
    }
    const bool has_experts = std::any_of(program.ops().begin(), program.ops().end(), is_expert_op);
    const auto last = static_cast<int32_t>(placement.devices_.size()) - 1;
    if (options.experts != ExpertPlacement::kWithLayer && has_experts) placement.expert_device_ = last;

    // Bytes of device i with n layers from `first` on, of which the first n_with_experts have their experts there too, while the last
    // device has the layers that come after.
    const auto bytes_with = [&](size_t i, int32_t first, int32_t n, int32_t n_with_experts) -> Result<uint64_t> {
        Placement candidate = placement;
        candidate.devices_[i].first_layer = first;
        candidate.devices_[i].n_layers = n;
        candidate.devices_[i].n_with_experts = n_with_experts;
        if (static_cast<int32_t>(i) != last && first + n < n_layers) {
            candidate.devices_.back().first_layer = first + n;
            candidate.devices_.back().n_layers = n_layers - first - n;
        }
        const auto ops = candidate.devices_of_ops(program);
        const auto partition = make_partition(program, ops, last + 1);
        if (!partition) return partition.error();
        if (std::find(ops.begin(), ops.end(), last) == ops.end()) candidate.expert_device_ = -1;  // and none of its rows count
        return candidate.device_bytes(program, partition->pieces[i], i, n_tokens);
    };
    // The most of [0, most] for which bytes(n) is within a device's memory.
    const auto find_most = [](int32_t most, uint64_t memory, const auto& bytes) -> Result<int32_t> {
        int32_t n = 0;
        while (n < most) {
            const int32_t middle = n + (most - n + 1) / 2;
            const Result<uint64_t> needed = bytes(middle);
            if (!needed) return needed.error();
            if (*needed <= memory)
                n = middle;
            else
                most = middle - 1;
        }
        return n;
    };
    int32_t first = 0;
    for (size_t i = 0; i < placement.devices_.size(); i++) {
        PlacedDevice& device = placement.devices_[i];
        const int32_t left = n_layers - first;
        const uint64_t memory = device.memory_bytes == 0 && device.is_host ? kNoLimit : device.memory_bytes;
        int32_t n = std::clamp(wanted[i], 0, left);
        if (static_cast<int32_t>(i) == last || (wanted[i] == 0 && memory == kNoLimit)) {
            n = left;
        } else if (wanted[i] == 0) {
            const auto most = find_most(left, memory, [&](int32_t some) { return bytes_with(i, first, some, 0); });
            if (!most) return most.error();
            n = *most;
        }
        if (placement.expert_device_ >= 0 && options.experts == ExpertPlacement::kByMemory && static_cast<int32_t>(i) != last) {
            const auto most = find_most(n, memory, [&](int32_t some) { return bytes_with(i, first, n, some); });
            if (!most) return most.error();
            device.n_with_experts = *most;
        }
        device.first_layer = first;
        device.n_layers = n;
        first += n;
    }
    // Devices without a share go.
    const auto in_use = placement.devices_of_ops(program);
    const bool has_expert_device = placement.expert_device_ >= 0 && std::find(in_use.begin(), in_use.end(), last) != in_use.end();
    placement.expert_device_ = -1;
    for (size_t i = placement.devices_.size(); i-- > 0;) {
        if (placement.devices_[i].n_layers == 0 && !(has_expert_device && static_cast<int32_t>(i) == last))
            placement.devices_.erase(placement.devices_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (has_expert_device) placement.expert_device_ = static_cast<int32_t>(placement.devices_.size()) - 1;
    return placement;
}

Result<PlacedProgram> PlacedProgram::create(Program whole, const Placement& placement) {
    PlacedProgram placed(std::move(whole));
    if (!placement.is_split()) return placed;
    auto partition =
        make_partition(placed.whole_, placement.devices_of_ops(placed.whole_), static_cast<int32_t>(placement.devices().size()));
    if (!partition) return partition.error();
    placed.partition_ = std::move(*partition);
    return placed;
}

}  // namespace ponder
