// SPDX-License-Identifier: Apache-2.0
// Every call of ponder.h with NULL and impossible arguments: a status or nothing at all, never a fault.
#include <ponder/ponder.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "tiny_model.hpp"

namespace {

const char* const kMissing = "/nonexistent/model.gguf";

// Keeps `out` parameters visibly dirty, so that a call that forgets to clear one is seen.
template <class T>
T* garbage_pointer() {
    return reinterpret_cast<T*>(std::uintptr_t{0x10});
}

}  // namespace

TEST_CASE("capi_null: names and versions") {
    CHECK(ponder_version() == PONDER_VERSION_MAJOR * 10000 + PONDER_VERSION_MINOR * 100 + PONDER_VERSION_PATCH);
    CHECK(std::strcmp(ponder_version_string(), "0.1.0") == 0);
    CHECK(std::strcmp(ponder_status_name(PONDER_STATUS_OK), "PONDER_STATUS_OK") == 0);
    CHECK(std::strcmp(ponder_status_name(PONDER_STATUS_TEMPLATE), "PONDER_STATUS_TEMPLATE") == 0);
    CHECK(std::strcmp(ponder_status_name(-12345), "unknown") == 0);
    CHECK(std::strcmp(ponder_status_name(std::numeric_limits<int32_t>::max()), "unknown") == 0);
}

TEST_CASE("capi_null: log sink") {
    ponder_log_set_sink(nullptr, nullptr, PONDER_LOG_DEBUG);
    ponder_log_set_sink([](void*, int32_t, const char*) {}, nullptr, -7);
    ponder_log_set_sink(nullptr, nullptr, 1000);
}

TEST_CASE("capi_null: devices") {
    REQUIRE(ponder_device_count() >= 1);
    ponder_error err = {};
    ponder_device_info info = PONDER_DEVICE_INFO_INIT;
    CHECK(ponder_device_describe(0, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_device_describe(-1, &info, &err) == PONDER_STATUS_NOT_FOUND);
    CHECK(ponder_device_describe(std::numeric_limits<int32_t>::max(), &info, nullptr) == PONDER_STATUS_NOT_FOUND);
    CHECK(ponder_device_describe(0, &info, nullptr) == PONDER_STATUS_OK);
    CHECK(info.backend != nullptr);
    CHECK(info.name != nullptr);
    CHECK(info.index == 0);
}

TEST_CASE("capi_null: destroying nothing") {
    ponder_model_close(nullptr);
    ponder_text_close(nullptr);
    ponder_session_destroy(nullptr);
    ponder_session_cancel(nullptr);
    ponder_generation_destroy(nullptr);
    ponder_plan_destroy(nullptr);
    ponder_file_close(nullptr);
    CHECK(ponder_model_text(nullptr) == nullptr);
}

TEST_CASE("capi_null: opening calls clear what they hand out") {
    ponder_error err = {};
    auto* model = garbage_pointer<ponder_model>();
    CHECK(ponder_model_open(nullptr, nullptr, &model, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(model == nullptr);
    CHECK(err.status == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(err.message[0] != '\0');
    CHECK(ponder_model_open(kMissing, nullptr, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_model_open(nullptr, nullptr, nullptr, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);

    auto* text = garbage_pointer<ponder_text>();
    CHECK(ponder_text_open(nullptr, &text, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(text == nullptr);
    CHECK(ponder_text_open(kMissing, nullptr, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);

    auto* session = garbage_pointer<ponder_session>();
    CHECK(ponder_session_create(nullptr, nullptr, &session, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(session == nullptr);
    session = garbage_pointer<ponder_session>();
    CHECK(ponder_session_fork(nullptr, &session, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(session == nullptr);
    session = garbage_pointer<ponder_session>();
    CHECK(ponder_session_fork_to(nullptr, nullptr, nullptr, &session, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    size_t n_tokens = 1;
    CHECK(ponder_session_tokens(nullptr, nullptr, 0, &n_tokens, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(n_tokens == 0);
    CHECK(session == nullptr);

    auto* generation = garbage_pointer<ponder_generation>();
    CHECK(ponder_session_ask(nullptr, "x", nullptr, &generation, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(generation == nullptr);
    generation = garbage_pointer<ponder_generation>();
    CHECK(ponder_session_generate(nullptr, nullptr, 0, nullptr, &generation, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(generation == nullptr);

    auto* plan = garbage_pointer<ponder_plan>();
    CHECK(ponder_plan_create(nullptr, nullptr, nullptr, &plan, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(plan == nullptr);
    CHECK(ponder_plan_create(kMissing, nullptr, nullptr, nullptr, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);

    auto* file = garbage_pointer<ponder_file>();
    CHECK(ponder_file_open(nullptr, &file, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(file == nullptr);
    CHECK(ponder_file_open(kMissing, nullptr, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);
}

TEST_CASE("capi_null: calls on no handle") {
    ponder_error err = {};
    ponder_model_info model_info = PONDER_MODEL_INFO_INIT;
    CHECK(ponder_model_describe(nullptr, &model_info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_streaming_info streaming_info = PONDER_STREAMING_INFO_INIT;
    CHECK(ponder_model_describe_streaming(nullptr, &streaming_info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_text_info text_info = PONDER_TEXT_INFO_INIT;
    CHECK(ponder_text_describe(nullptr, &text_info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    size_t needed = 0;
    CHECK(ponder_text_tokenize(nullptr, "x", 1, 0, nullptr, 0, &needed, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_text_detokenize(nullptr, nullptr, 0, nullptr, 0, &needed, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_text_render(nullptr, "{}", 2, nullptr, 0, &needed, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_session_info session_info = PONDER_SESSION_INFO_INIT;
    CHECK(ponder_session_describe(nullptr, &session_info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    const int32_t token = 0;
    float logit = 0.0f;
    CHECK(ponder_session_evaluate(nullptr, &token, 1, &logit, 1, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_rewind(nullptr, 0, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_model_evaluate(nullptr, nullptr, 0, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_event event = PONDER_EVENT_INIT;
    CHECK(ponder_generation_next(nullptr, &event, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_plan_info plan_info = PONDER_PLAN_INFO_INIT;
    ponder_plan_device plan_device = PONDER_PLAN_DEVICE_INIT;
    CHECK(ponder_plan_describe(nullptr, &plan_info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_plan_describe_device(nullptr, 0, &plan_device, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_file_info file_info = PONDER_FILE_INFO_INIT;
    ponder_tensor_info tensor_info = PONDER_TENSOR_INFO_INIT;
    const char* key = nullptr;
    CHECK(ponder_file_describe(nullptr, &file_info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_file_describe_tensor(nullptr, 0, &tensor_info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_file_metadata(nullptr, 0, 0, &key, nullptr, 0, &needed, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    const char* remark = "x";
    CHECK(ponder_file_remark(nullptr, 0, &remark, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(remark == nullptr);
    CHECK(ponder_file_synthesize(nullptr, "x", nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_file_synthesize("tiny-qwen2", nullptr, nullptr, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_file_convert(nullptr, "x", nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_file_convert("x", nullptr, nullptr, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);
}

TEST_CASE("capi_null: missing arguments on a live model") {
    ponder_error err = {};
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_session* session = ponder_test::create_session(model);
    CHECK(ponder_model_describe(model, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_model_describe_streaming(model, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_model_device_cache(model, nullptr, 0, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    size_t cache_size = 1;
    CHECK(ponder_model_device_cache(nullptr, nullptr, 0, &cache_size, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    // A CPU keeps nothing.
    CHECK(ponder_model_device_cache(model, nullptr, 0, &cache_size, &err) == PONDER_STATUS_OK);
    CHECK(cache_size == 0);
    CHECK(ponder_session_create(model, nullptr, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_fork(session, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_fork_to(session, model, nullptr, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_tokens(session, nullptr, 0, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_describe(session, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);

    auto* generation = garbage_pointer<ponder_generation>();
    CHECK(ponder_session_ask(session, nullptr, nullptr, &generation, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(generation == nullptr);
    CHECK(ponder_session_ask(session, "x", nullptr, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    generation = garbage_pointer<ponder_generation>();
    CHECK(ponder_session_generate(session, nullptr, 3, nullptr, &generation, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(generation == nullptr);
    ponder_message message = PONDER_MESSAGE_INIT;  // without a role
    CHECK(ponder_session_generate(session, &message, 1, nullptr, &generation, &err) == PONDER_STATUS_INVALID_ARGUMENT);

    float logit = 0.0f;
    const int32_t token = 0;
    CHECK(ponder_session_evaluate(session, nullptr, 4, nullptr, 0, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_evaluate(session, &token, 1, nullptr, 1, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_evaluate(session, &token, 1, &logit, 2, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_rewind(session, -1, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_model_evaluate(model, nullptr, 2, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_evaluation item = PONDER_EVALUATION_INIT;  // without a session
    CHECK(ponder_model_evaluate(model, &item, 1, &err) == PONDER_STATUS_INVALID_ARGUMENT);

    generation = ponder_test::ask(session, "x", 4);
    CHECK(ponder_generation_next(generation, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK_FALSE(ponder_test::read_all(generation).size() > 100000);
    ponder_generation_destroy(generation);
    ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_null: impossible values") {
    ponder_error err = {};
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_session* session = ponder_test::create_session(model);
    for (const int32_t id : {-1, 1 << 30, std::numeric_limits<int32_t>::min()})
        CHECK(ponder_session_evaluate(session, &id, 1, nullptr, 0, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_session_rewind(session, std::numeric_limits<int64_t>::max(), &err) == PONDER_STATUS_INVALID_ARGUMENT);

    ponder_session_params session_params = PONDER_SESSION_PARAMS_INIT;
    session_params.context = -5;
    ponder_session* other = nullptr;
    CHECK(ponder_session_create(model, &session_params, &other, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    session_params.context = 0;
    session_params.kv_type = 77;
    CHECK(ponder_session_create(model, &session_params, &other, &err) != PONDER_STATUS_OK);
    CHECK(other == nullptr);

    ponder_generation* generation = nullptr;
    const auto rejects = [&](auto&& change) {
        ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
        change(params);
        const ponder_status status = ponder_session_ask(session, "x", &params, &generation, &err);
        CHECK(generation == nullptr);
        ponder_generation_destroy(generation);
        return status == PONDER_STATUS_INVALID_ARGUMENT || status == PONDER_STATUS_FORMAT;
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(rejects([](auto& params) { params.max_tokens = -3; }));
    CHECK(rejects([](auto& params) { params.thinking_budget = -9; }));
    CHECK(rejects([&](auto& params) { params.temperature = nan; }));
    CHECK(rejects([](auto& params) { params.top_k = -1; }));
    CHECK(rejects([&](auto& params) { params.top_p = nan; }));
    CHECK(rejects([](auto& params) { params.top_p = 1.5f; }));
    CHECK(rejects([](auto& params) { params.min_p = -0.5f; }));
    CHECK(rejects([&](auto& params) { params.repetition_penalty = nan; }));
    CHECK(rejects([](auto& params) { params.n_stop = 2; }));
    CHECK(rejects([](auto& params) { params.tools_json = "[{"; }));
    CHECK(rejects([](auto& params) { params.template_json = "[1]"; }));
    ponder_session_destroy(session);
    ponder_model_close(model);
}
