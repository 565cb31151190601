// SPDX-License-Identifier: Apache-2.0
// Plan: what opening a model and filling one session would cost, computed from headers alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "runtime/model.hpp"
#include "runtime/session.hpp"

namespace ponder {

// What one device has of it.
struct PlanShare {
    DeviceSlot device;
    std::string device_name;
    int32_t first_layer = 0, n_layers = 0;
    int32_t n_expert_layers = 0;  // layers whose routed experts run here
    uint64_t weight_bytes = 0, kv_bytes = 0, scratch_bytes = 0;
    uint64_t memory_bytes = 0;  // the budget of the device; 0: none

    uint64_t total_bytes() const { return weight_bytes + kv_bytes + scratch_bytes; }
};

struct Plan {
    std::vector<PlanShare> shares;  // at least one
    uint64_t weight_bytes = 0, kv_bytes = 0, scratch_bytes = 0, host_bytes = 0;
    uint64_t expert_bytes = 0;  // of streamed experts, with the session filled; 0: none are streamed
    uint64_t least_bytes = 0;   // the smallest cap under which this session fits
    uint64_t kv_bytes_per_token = 0, decode_bytes = 0;
    int64_t context = 0, max_context = 0;
    bool fits = true;

    uint64_t total_bytes() const { return weight_bytes + expert_bytes + kv_bytes + scratch_bytes + host_bytes; }
    bool is_streaming() const { return expert_bytes > 0; }
};

// Errors: as Model::open, but a plan over the cap is a result. Without a cap, the model is planned as a whole, whatever memory there is.
Result<Plan> make_plan(const std::string& path, const ModelOptions& options, const SessionOptions& session);
Result<Plan> make_plan(const ModelFile& file, const ModelOptions& options, const SessionOptions& session);

}  // namespace ponder
