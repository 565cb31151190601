// SPDX-License-Identifier: Apache-2.0
// C ABI: plans.
#include "capi/guard.hpp"
#include "capi/handles.hpp"

using ponder::make_error;
using ponder::Result;
using ponder::capi::guard;
using ponder::capi::require;
using ponder::capi::to_model_options;
using ponder::capi::to_session_options;
using ponder::capi::write_struct;

extern "C" {

PONDER_API ponder_status ponder_plan_create(const char* path, const ponder_model_params* params,
                                            const ponder_session_params* session_params, ponder_plan** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("path and out", path, out); !given) return given;
        const auto model_options = to_model_options(params);
        if (!model_options) return model_options.error();
        const auto session_options = to_session_options(session_params);
        if (!session_options) return session_options.error();
        auto plan = ponder::make_plan(path, *model_options, *session_options);
        if (!plan) return plan.error();
        *out = new ponder_plan{std::move(*plan)};
        return {};
    });
}

PONDER_API void ponder_plan_destroy(ponder_plan* plan) { delete plan; }

PONDER_API ponder_status ponder_plan_describe(const ponder_plan* plan, ponder_plan_info* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("plan", plan); !given) return given;
        const ponder::Plan& p = plan->impl;
        const ponder_plan_info info{.struct_size = sizeof info,
                                    .n_devices = static_cast<int32_t>(p.shares.size()),
                                    .weight_bytes = p.weight_bytes,
                                    .kv_bytes = p.kv_bytes,
                                    .scratch_bytes = p.scratch_bytes,
                                    .host_bytes = p.host_bytes,
                                    .total_bytes = p.total_bytes(),
                                    .kv_bytes_per_token = p.kv_bytes_per_token,
                                    .decode_bytes = p.decode_bytes,
                                    .context = p.context,
                                    .max_context = p.max_context,
                                    .fits = p.fits,
                                    .is_streaming = p.is_streaming(),
                                    .expert_bytes = p.expert_bytes,
                                    .least_bytes = p.least_bytes};
        return write_struct(info, out, "out");
    });
}

PONDER_API ponder_status ponder_plan_describe_device(const ponder_plan* plan, int32_t i, ponder_plan_device* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("plan", plan); !given) return given;
        const size_t n = plan->impl.shares.size();
        if (i < 0 || static_cast<size_t>(i) >= n) return make_error(PONDER_STATUS_NOT_FOUND, "the plan has no device %d; it has %zu", i, n);
        const ponder::PlanShare& p = plan->impl.shares[static_cast<size_t>(i)];
        const ponder_plan_device device{.struct_size = sizeof device,
                                        .index = p.device.global_index,
                                        .backend = p.device.backend->name,
                                        .name = p.device_name.c_str(),
                                        .weight_bytes = p.weight_bytes,
                                        .kv_bytes = p.kv_bytes,
                                        .scratch_bytes = p.scratch_bytes,
                                        .total_bytes = p.total_bytes(),
                                        .first_layer = p.first_layer,
                                        .n_layers = p.n_layers,
                                        .n_expert_layers = p.n_expert_layers,
                                        .memory_bytes = p.memory_bytes};
        return write_struct(device, out, "out");
    });
}

}  // extern "C"
