// SPDX-License-Identifier: Apache-2.0
// C ABI: models, and batches over several sessions.
#include <algorithm>
#include <vector>

#include "capi/guard.hpp"
#include "capi/handles.hpp"

using ponder::make_error;
using ponder::Result;
using ponder::capi::fill_buffer;
using ponder::capi::guard;
using ponder::capi::read_struct;
using ponder::capi::require;
using ponder::capi::require_zero;
using ponder::capi::SessionClaim;
using ponder::capi::to_model_options;
using ponder::capi::write_struct;

extern "C" {

PONDER_API ponder_status ponder_model_open(const char* path, const ponder_model_params* params, ponder_model** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("path and out", path, out); !given) return given;
        const auto options = to_model_options(params);
        if (!options) return options.error();
        auto model = ponder::Model::open(path, *options);
        if (!model) return model.error();
        *out = new ponder_model{std::move(*model)};
        return {};
    });
}

PONDER_API void ponder_model_close(ponder_model* model) { delete model; }

PONDER_API ponder_status ponder_model_describe(const ponder_model* model, ponder_model_info* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("model", model); !given) return given;
        return write_struct(model->impl->info(), out, "out");
    });
}

PONDER_API ponder_status ponder_model_describe_streaming(const ponder_model* model, ponder_streaming_info* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("model", model); !given) return given;
        return write_struct(model->impl->streaming_info(), out, "out");
    });
}

PONDER_API ponder_status ponder_model_device_cache(const ponder_model* model, void* buffer, size_t capacity, size_t* size_needed,
                                                   ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("model and size_needed", model, size_needed); !given) return given;
        *size_needed = 0;
        const auto cache = model->impl->read_device_cache();
        if (!cache) return cache.error();
        return fill_buffer(cache->data(), cache->size(), static_cast<std::byte*>(buffer), capacity, size_needed);
    });
}

PONDER_API ponder_text* ponder_model_text(const ponder_model* model) {
    if (model == nullptr) return nullptr;
    return new (std::nothrow) ponder_text{model->impl->text()};
}

PONDER_API ponder_status ponder_model_evaluate(ponder_model* model, const ponder_evaluation* items, size_t n_items, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("model and items", model, items); !given) return given;
        std::vector<ponder::Session::BatchItem> batch;
        const char* next = reinterpret_cast<const char*>(items);
        for (size_t i = 0; i < n_items; i++) {
            const auto item = read_struct(reinterpret_cast<const ponder_evaluation*>(next), "ponder_evaluation");
            if (!item) return item.error();
            if (auto zero = require_zero(item->reserved, "ponder_evaluation"); !zero) return zero;
            if (item->session == nullptr || (item->n > 0 && item->tokens == nullptr)) {
                return make_error(PONDER_STATUS_INVALID_ARGUMENT, "items[%zu]: session and tokens must not be NULL", i);
            }
            ponder::Session* session = item->session->impl.get();
            if (&session->model() != model->impl.get())
                return make_error(PONDER_STATUS_INVALID_ARGUMENT, "items[%zu]: the session is of another model", i);
            if (std::any_of(batch.begin(), batch.end(), [&](const auto& b) { return b.session == session; })) {
                return make_error(PONDER_STATUS_INVALID_ARGUMENT, "items[%zu]: the session is in the batch twice", i);
            }
            batch.push_back({session, {item->tokens, item->n}, item->logits, item->n_rows});
            next += items->struct_size;
        }
        if (batch.empty()) return {};
        std::vector<std::unique_ptr<SessionClaim>> claims;
        for (const auto& item : batch) {
            claims.push_back(std::make_unique<SessionClaim>(*item.session));
            if (!claims.back()->is_held()) return SessionClaim::busy();
        }
        for (const auto& item : batch) item.session->begin_operation();
        return ponder::Session::evaluate_batch(batch, {});
    });
}

}  // extern "C"
