// SPDX-License-Identifier: Apache-2.0
// Turns the C ABI's parameter structs into the runtime's options, with every range checked.
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "capi/guard.hpp"
#include "capi/handles.hpp"
#include "format/json.hpp"

namespace ponder::capi {

namespace {

Error out_of_range(const char* field, double value, const char* range) {
    return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s is %g, it must be %s", field, value, range);
}

// Null for a NULL text. Errors: FORMAT.
Result<nlohmann::ordered_json> parse_optional(const char* text, const char* field) {
    if (text == nullptr) return nlohmann::ordered_json();
    auto json = parse_ordered_json(text);
    if (!json) return with_context(json.error(), field);
    return json;
}

Result<SamplerParams> to_sampler_params(const ponder_generation_params& p, const SamplerParams& defaults) {
    SamplerParams sampling = defaults;
    sampling.seed = p.seed;
    if (!(p.temperature <= 100.0f)) return out_of_range("temperature", double{p.temperature}, "at most 100");
    if (!(p.top_p >= 0.0f && p.top_p <= 1.0f)) return out_of_range("top_p", double{p.top_p}, "0 to 1");
    if (!(p.min_p >= 0.0f && p.min_p <= 1.0f)) return out_of_range("min_p", double{p.min_p}, "0 to 1");
    if (p.top_k < 0) return out_of_range("top_k", p.top_k, "0 or more");
    if (!(p.repetition_penalty >= 0.0f && p.repetition_penalty <= 100.0f))
        return out_of_range("repetition_penalty", double{p.repetition_penalty}, "0 to 100");
    if (!(std::fabs(p.presence_penalty) <= 100.0f)) return out_of_range("presence_penalty", double{p.presence_penalty}, "-100 to 100");
    if (p.temperature < 0.0f) sampling.temperature = 0.0f;
    if (p.temperature > 0.0f) sampling.temperature = p.temperature;
    if (p.top_k > 0) sampling.top_k = p.top_k;
    if (p.top_p > 0.0f) sampling.top_p = p.top_p;
    if (p.min_p > 0.0f) sampling.min_p = p.min_p;
    if (p.repetition_penalty > 0.0f) sampling.repetition_penalty = p.repetition_penalty;
    sampling.presence_penalty = p.presence_penalty;
    return sampling;
}

Result<PlacementOptions> to_placement(const ponder_placement* given) {
    const auto p = read_struct(given, "ponder_placement");
    if (!p) return p.error();
    if (p->n_devices > limits::kMaxDevices || (p->n_devices > 0 && p->devices == nullptr))
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_devices is %zu, the limit is %zu", p->n_devices, limits::kMaxDevices);
    if (p->experts < 0 || p->experts > PONDER_EXPERTS_BY_MEMORY) return out_of_range("experts", p->experts, "a ponder_experts");
    PlacementOptions placement{.experts = static_cast<ExpertPlacement>(p->experts)};
    const char* next = reinterpret_cast<const char*>(p->devices);
    for (size_t i = 0; i < p->n_devices; i++) {
        const auto share = read_struct(reinterpret_cast<const ponder_device_share*>(next), "ponder_device_share");
        if (!share) return share.error();
        if (auto zero = require_zero(share->reserved, "ponder_device_share"); !zero) return zero.error();
        if (share->device < 0) return out_of_range("device", share->device, "0 or more");
        if (share->n_layers < PONDER_LAYERS_NONE) return out_of_range("n_layers", share->n_layers, "PONDER_LAYERS_NONE or more");
        placement.devices.push_back({.device = {share->backend != nullptr ? share->backend : "auto", share->device},
                                     .n_layers = share->n_layers,
                                     .memory_bytes = share->memory_bytes});
        next += reinterpret_cast<const ponder_device_share*>(next)->struct_size;
    }
    return placement;
}

}  // namespace

Result<ModelOptions> to_model_options(const ponder_model_params* params) {
    const auto p = read_struct(params, "ponder_model_params");
    if (!p) return p.error();
    if (p->weights < 0 || p->weights > PONDER_WEIGHTS_COPIED) return out_of_range("weights", p->weights, "a ponder_weights");
    if (p->n_threads < 0 || p->n_threads > limits::kMaxThreads) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_threads is %d, it must be 0 to %d", p->n_threads, limits::kMaxThreads);
    }
    if (p->device < 0) return out_of_range("device", p->device, "0 or more");
    if (p->device_cache == nullptr && p->device_cache_size > 0)
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "device_cache is NULL, device_cache_size is %zu", p->device_cache_size);
    auto placement = p->placement != nullptr ? to_placement(p->placement) : PlacementOptions();
    if (!placement) return placement.error();
    const bool has_device = (p->backend != nullptr && std::string_view(p->backend) != "auto") || p->device != 0;
    if (!placement->devices.empty() && has_device)
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "backend and device are set beside a placement that has devices");
    return ModelOptions{.device = {p->backend != nullptr ? p->backend : "auto", p->device},
                        .n_threads = p->n_threads,
                        .memory_cap = p->memory_cap,
                        .progress = {p->on_progress, p->progress_user_data},
                        .device_cache = {static_cast<const std::byte*>(p->device_cache), p->device_cache_size},
                        .placement = std::move(*placement),
                        .weights = static_cast<WeightMemory>(p->weights)};
}

Result<SessionOptions> to_session_options(const ponder_session_params* params) {
    const auto p = read_struct(params, "ponder_session_params");
    if (!p) return p.error();
    if (auto zero = require_zero(p->reserved, "ponder_session_params"); !zero) return zero.error();
    if (p->context < 0) return out_of_range("context", p->context, "0 or more");
    SessionOptions options{.context = p->context};
    constexpr std::optional<int32_t> kTypes[] = {std::nullopt, PONDER_TYPE_F32, PONDER_TYPE_F16, PONDER_TYPE_Q8_0};  // by ponder_kv_type
    if (p->kv_type < 0 || p->kv_type > PONDER_KV_Q8_0) return out_of_range("kv_type", p->kv_type, "a ponder_kv_type");
    options.kv_type = kTypes[p->kv_type];
    if (p->system != nullptr) options.system = p->system;
    return options;
}

Result<GenerationOptions> to_generation_options(const ponder_generation_params* params, const Model& model) {
    const auto p = read_struct(params, "ponder_generation_params");
    if (!p) return p.error();
    GenerationOptions options;
    if (p->max_tokens < 0) return out_of_range("max_tokens", p->max_tokens, "0 or more");
    if (p->thinking_budget < PONDER_THINKING_NONE)
        return out_of_range("thinking_budget", p->thinking_budget, "PONDER_THINKING_NONE or more");
    options.max_tokens = p->max_tokens;
    options.thinking_budget = p->thinking_budget == 0 ? -1 : p->thinking_budget == PONDER_THINKING_NONE ? 0 : p->thinking_budget;
    auto sampling = to_sampler_params(*p, model.sampling_defaults());
    if (!sampling) return sampling.error();
    options.sampling = *sampling;
    options.is_raw = p->is_raw != 0;
    if (p->n_stop > limits::kMaxStopStrings || (p->n_stop > 0 && p->stop == nullptr)) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_stop is %zu, the limit is %zu", p->n_stop, limits::kMaxStopStrings);
    }
    for (size_t i = 0; i < p->n_stop; i++) {
        const std::string stop = p->stop[i] != nullptr ? p->stop[i] : "";
        if (stop.empty() || stop.size() > limits::kMaxStopBytes) {
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "stop[%zu] has %zu bytes, it must have 1 to %zu", i, stop.size(),
                              limits::kMaxStopBytes);
        }
        if (!is_utf8(stop)) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "stop[%zu] is not UTF-8", i);
        options.stops.push_back(stop);
    }
    auto tools = parse_optional(p->tools_json, "tools_json");
    if (!tools) return tools.error();
    if (!tools->is_null() && !tools->is_array()) return make_error(PONDER_STATUS_FORMAT, "tools_json is not an array");
    options.tools = std::move(*tools);
    auto variables = parse_optional(p->template_json, "template_json");
    if (!variables) return variables.error();
    if (!variables->is_null() && !variables->is_object()) return make_error(PONDER_STATUS_FORMAT, "template_json is not an object");
    options.template_variables = std::move(*variables);
    options.progress = {p->on_progress, p->progress_user_data};
    return options;
}

}  // namespace ponder::capi
