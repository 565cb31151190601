// SPDX-License-Identifier: Apache-2.0
// Plan: what opening a model and filling one session would cost, computed from headers alone.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "runtime/model.hpp"
#include "runtime/session.hpp"

namespace ponder {

struct Plan {
    DeviceSlot device;
    std::string device_name;
    uint64_t weight_bytes = 0, kv_bytes = 0, scratch_bytes = 0, host_bytes = 0;
    uint64_t kv_bytes_per_token = 0, decode_bytes = 0;
    int64_t context = 0, max_context = 0;
    bool fits = true;

    uint64_t total_bytes() const { return weight_bytes + kv_bytes + scratch_bytes + host_bytes; }
};

// Errors: as Model::open, but a plan over the cap is a result.
Result<Plan> make_plan(const std::string& path, const ModelOptions& options, const SessionOptions& session);

}  // namespace ponder
