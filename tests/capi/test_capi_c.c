/* SPDX-License-Identifier: Apache-2.0 */
/* A C11 program over ponder.h alone, with the smallest check of its own: what a C host does, from planning to the last event. */
#include <ponder/ponder.h>
#include <stdio.h>
#include <string.h>

static int n_failures = 0;

static void check(int is_true, const char* what, int line) {
    if (is_true) return;
    fprintf(stderr, "test_capi_c.c:%d: %s\n", line, what);
    n_failures++;
}
#define CHECK(condition) check((condition) != 0, #condition, __LINE__)

static int32_t count_progress(void* user_data, int32_t stage, double fraction) {
    int* calls = user_data;
    CHECK(stage >= PONDER_STAGE_OPEN && stage <= PONDER_STAGE_WRITE);
    CHECK(fraction >= 0.0 && fraction <= 1.0);
    ++*calls;
    return 0;
}

static void test_plan(const char* path) {
    ponder_error err = {0, ""};
    ponder_plan* plan = NULL;
    ponder_plan_info info = PONDER_PLAN_INFO_INIT;
    CHECK(ponder_plan_create(path, NULL, NULL, &plan, &err) == PONDER_STATUS_OK);
    CHECK(ponder_plan_describe(plan, &info, &err) == PONDER_STATUS_OK);
    CHECK(info.fits == 1);
    CHECK(info.total_bytes >= info.weight_bytes + info.kv_bytes);
    /* Whole pages. */
    CHECK(info.kv_bytes >= info.kv_bytes_per_token * (uint64_t)info.context);
    ponder_plan_destroy(plan);
}

static void test_chat(ponder_model* model) {
    ponder_error err = {0, ""};
    ponder_session* session = NULL;
    ponder_generation* generation = NULL;
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    const ponder_message messages[2] = {
        {sizeof(ponder_message), 0, "system", "Be brief.", 9, NULL, 0, NULL},
        {sizeof(ponder_message), 0, "user", "hello", 5, NULL, 0, NULL},
    };
    int calls = 0;
    int64_t n_bytes = 0;
    CHECK(ponder_session_create(model, NULL, &session, &err) == PONDER_STATUS_OK);
    params.max_tokens = 20;
    params.thinking_budget = 6;
    params.on_progress = count_progress;
    params.progress_user_data = &calls;
    CHECK(ponder_session_generate(session, messages, 2, &params, &generation, &err) == PONDER_STATUS_OK);
    for (ponder_event event = PONDER_EVENT_INIT; ponder_generation_next(generation, &event, &err) == PONDER_STATUS_OK;) {
        n_bytes += (int64_t)event.text_size;
        if (event.kind != PONDER_EVENT_DONE) continue;
        CHECK(event.prompt_tokens > 0);
        /* The words that close an over-long thought come on top of the budget. */
        CHECK(event.thinking_tokens <= 20);
        CHECK(event.thinking_tokens + event.answer_tokens <= 20);
        CHECK(event.finish_reason >= PONDER_FINISH_STOP && event.finish_reason <= PONDER_FINISH_BUDGET);
        break;
    }
    CHECK(n_bytes > 0);
    CHECK(calls > 0);
    ponder_generation_destroy(generation);
    ponder_session_destroy(session);
}

static void test_logits(ponder_model* model) {
    static float logits[2][65536];
    const int32_t tokens[3] = {3, 4, 5};
    ponder_error err = {0, ""};
    ponder_session* session = NULL;
    ponder_model_info info = PONDER_MODEL_INFO_INIT;
    CHECK(ponder_model_describe(model, &info, &err) == PONDER_STATUS_OK);
    CHECK(info.n_vocab > 0 && info.n_vocab <= 65536);
    CHECK(ponder_session_create(model, NULL, &session, &err) == PONDER_STATUS_OK);
    CHECK(ponder_session_evaluate(session, tokens, 3, logits[0], 1, &err) == PONDER_STATUS_OK);
    CHECK(ponder_session_rewind(session, 2, &err) == PONDER_STATUS_OK);
    CHECK(ponder_session_evaluate(session, tokens + 2, 1, logits[1], 1, &err) == PONDER_STATUS_OK);
    for (int32_t i = 0; i < info.n_vocab; i++) {
        const float difference = logits[0][i] - logits[1][i];
        CHECK(difference < 1e-3f && difference > -1e-3f);
    }
    ponder_session_destroy(session);
}

int main(int argc, char** argv) {
    ponder_error err = {0, ""};
    ponder_model* model = NULL;
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    int calls = 0;
    if (argc != 2) return fprintf(stderr, "usage: test_capi_c MODEL.gguf\n"), 2;
    test_plan(argv[1]);
    params.on_progress = count_progress;
    params.progress_user_data = &calls;
    if (ponder_model_open(argv[1], &params, &model, &err)) return fprintf(stderr, "%s\n", err.message), 1;
    CHECK(calls > 0);
    test_chat(model);
    test_logits(model);
    ponder_model_close(model);
    if (n_failures == 0) printf("all checks passed\n");
    return n_failures != 0;
}
