// SPDX-License-Identifier: Apache-2.0
// Struct sizes of older and newer programs, and files that are not models.
#include <ponder/ponder.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "tiny_model.hpp"

namespace {

// The same struct as a newer header would have it: eight bytes longer.
template <class T>
struct Newer {
    T known;
    unsigned char added[8];
};

template <class T>
Newer<T> make_newer(T known, unsigned char last_byte) {
    Newer<T> newer = {known, {}};
    newer.known.struct_size = sizeof(newer);
    newer.added[7] = last_byte;
    return newer;
}

ponder_status open_with(const ponder_model_params* params, ponder_error* err) {
    ponder_model* model = nullptr;
    const ponder_status status = ponder_model_open(ponder_test::tiny_model().c_str(), params, &model, err);
    CHECK((model != nullptr) == (status == PONDER_STATUS_OK));
    ponder_model_close(model);
    return status;
}

std::string read_tiny_model() {
    const std::string path = ponder_test::tiny_model();
    FILE* file = std::fopen(path.c_str(), "rb");
    REQUIRE(file != nullptr);
    std::string bytes(std::filesystem::file_size(path), '\0');
    REQUIRE(std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size());
    std::fclose(file);
    return bytes;
}

// All calls that open a file refuse `path` with a status other than OK; returns what ponder_model_open said.
ponder_status refuse_everywhere(const std::string& path) {
    ponder_error err = {};
    ponder_model* model = nullptr;
    const ponder_status status = ponder_model_open(path.c_str(), nullptr, &model, &err);
    CHECK(status != PONDER_STATUS_OK);
    CHECK(model == nullptr);
    CHECK(err.status == status);
    CHECK(std::strlen(err.message) > 8);
    ponder_text* text = nullptr;
    CHECK(ponder_text_open(path.c_str(), &text, &err) != PONDER_STATUS_OK);
    CHECK(text == nullptr);
    ponder_file* file = nullptr;
    CHECK(ponder_file_open(path.c_str(), &file, &err) != PONDER_STATUS_OK);
    CHECK(file == nullptr);
    ponder_plan* plan = nullptr;
    CHECK(ponder_plan_create(path.c_str(), nullptr, nullptr, &plan, &err) != PONDER_STATUS_OK);
    CHECK(plan == nullptr);
    return status;
}

}  // namespace

TEST_CASE("capi_errors: parameter structs of other sizes") {
    ponder_error err = {};
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    CHECK(open_with(&params, &err) == PONDER_STATUS_OK);
    params.struct_size = 0;
    CHECK(open_with(&params, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    params.struct_size = 3;
    CHECK(open_with(&params, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    params.struct_size = 0xffffffffu;
    CHECK(open_with(&params, &err) == PONDER_STATUS_INVALID_ARGUMENT);

    // A caller of the first version's header has no device cache.
    params = PONDER_MODEL_PARAMS_INIT;
    params.device_cache_size = 1;
    CHECK(open_with(&params, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    params.struct_size = offsetof(ponder_model_params, device_cache);
    CHECK(open_with(&params, &err) == PONDER_STATUS_OK);

    params = PONDER_MODEL_PARAMS_INIT;
    const auto newer_unused = make_newer(params, 0);
    CHECK(open_with(&newer_unused.known, &err) == PONDER_STATUS_OK);
    const auto newer_used = make_newer(params, 1);
    CHECK(open_with(&newer_used.known, &err) == PONDER_STATUS_UNSUPPORTED);
    CHECK(std::strlen(err.message) > 8);
}

TEST_CASE("capi_errors: session and generation parameters of other sizes") {
    ponder_error err = {};
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_session* session = nullptr;
    ponder_session_params session_params = PONDER_SESSION_PARAMS_INIT;
    const auto session_used = make_newer(session_params, 9);
    CHECK(ponder_session_create(model, &session_used.known, &session, &err) == PONDER_STATUS_UNSUPPORTED);
    CHECK(session == nullptr);
    session_params.struct_size = 0;
    CHECK(ponder_session_create(model, &session_params, &session, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    session_params = PONDER_SESSION_PARAMS_INIT;
    const auto session_unused = make_newer(session_params, 0);
    REQUIRE(ponder_session_create(model, &session_unused.known, &session, &err) == PONDER_STATUS_OK);

    ponder_generation* generation = nullptr;
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.max_tokens = 2;
    const auto used = make_newer(params, 1);
    CHECK(ponder_session_ask(session, "x", &used.known, &generation, &err) == PONDER_STATUS_UNSUPPORTED);
    CHECK(generation == nullptr);
    const auto unused = make_newer(params, 0);
    CHECK(ponder_session_ask(session, "x", &unused.known, &generation, &err) == PONDER_STATUS_OK);
    ponder_event no_size = PONDER_EVENT_INIT;
    no_size.struct_size = 0;
    CHECK(ponder_generation_next(generation, &no_size, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_generation_destroy(generation);
    ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_errors: info structs of other sizes") {
    ponder_error err = {};
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_model_info info = PONDER_MODEL_INFO_INIT;
    info.struct_size = 0;
    CHECK(ponder_model_describe(model, &info, &err) == PONDER_STATUS_INVALID_ARGUMENT);

    // Smaller than any version had: refused, and nothing is written.
    info = PONDER_MODEL_INFO_INIT;
    info.struct_size = offsetof(ponder_model_info, n_layers);
    info.n_vocab = -77;
    CHECK(ponder_model_describe(model, &info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(info.n_vocab == -77);

    // A newer program's struct goes on: what the library does not know is zeroed.
    ponder_model_info known = PONDER_MODEL_INFO_INIT;
    auto newer = make_newer(known, 5);
    CHECK(ponder_model_describe(model, &newer.known, &err) == PONDER_STATUS_OK);
    CHECK(newer.known.n_layers > 0);
    CHECK(newer.added[7] == 0);
    ponder_model_close(model);
}

TEST_CASE("capi_errors: files that are not there or not files") {
    CHECK(refuse_everywhere("/nonexistent/folder/model.gguf") == PONDER_STATUS_IO);
    CHECK(refuse_everywhere("") != PONDER_STATUS_OK);
    refuse_everywhere(ponder_test::scratch_folder());
    const std::string pipe = ponder_test::scratch_path("pipe.gguf");
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(refuse_everywhere(pipe) == PONDER_STATUS_IO);  // and does not wait for a writer
    const std::string empty = ponder_test::scratch_path("empty.gguf");
    ponder_test::write_file(empty, "");
    CHECK(refuse_everywhere(empty) == PONDER_STATUS_FORMAT);
    const std::string noise = ponder_test::scratch_path("noise.gguf");
    ponder_test::write_file(noise, std::string(4096, '\xa5'));
    CHECK(refuse_everywhere(noise) == PONDER_STATUS_FORMAT);
}

TEST_CASE("capi_errors: a model cut anywhere is refused") {
    const std::string whole = read_tiny_model();
    const std::string path = ponder_test::scratch_path("cut.gguf");
    for (const size_t size :
         {size_t{3}, size_t{4}, size_t{23}, size_t{24}, size_t{200}, whole.size() / 8, whole.size() / 2, whole.size() - 1}) {
        CAPTURE(size);
        ponder_test::write_file(path, whole.substr(0, size));
        const ponder_status status = refuse_everywhere(path);
        CHECK((status == PONDER_STATUS_FORMAT || status == PONDER_STATUS_LIMIT));
    }
}

TEST_CASE("capi_errors: names and caps") {
    ponder_error err = {};
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    params.backend = "no-such-backend";
    CHECK(open_with(&params, &err) == PONDER_STATUS_NOT_FOUND);
    CHECK(std::strstr(err.message, "no-such-backend") != nullptr);
    params = PONDER_MODEL_PARAMS_INIT;
    params.device = 1000;
    CHECK(open_with(&params, &err) == PONDER_STATUS_NOT_FOUND);
    params = PONDER_MODEL_PARAMS_INIT;
    params.memory_cap = 1000;
    CHECK(open_with(&params, &err) == PONDER_STATUS_MEMORY_CAP);

    ponder_plan* plan = nullptr;
    REQUIRE(ponder_plan_create(ponder_test::tiny_model().c_str(), &params, nullptr, &plan, &err) == PONDER_STATUS_OK);
    ponder_plan_info info = PONDER_PLAN_INFO_INIT;
    CHECK(ponder_plan_describe(plan, &info, &err) == PONDER_STATUS_OK);
    CHECK(info.fits == 0);
    CHECK(info.total_bytes > 1000);
    ponder_plan_device device = PONDER_PLAN_DEVICE_INIT;
    CHECK(ponder_plan_describe_device(plan, info.n_devices, &device, &err) == PONDER_STATUS_NOT_FOUND);
    CHECK(ponder_plan_describe_device(plan, -1, &device, &err) == PONDER_STATUS_NOT_FOUND);
    ponder_plan_destroy(plan);

    CHECK(ponder_file_synthesize("no-such-shape", ponder_test::scratch_path("x.gguf").c_str(), nullptr, &err) == PONDER_STATUS_NOT_FOUND);
    CHECK_FALSE(std::filesystem::exists(ponder_test::scratch_path("x.gguf")));
}

TEST_CASE("capi_errors: a progress callback stops the opening") {
    ponder_error err = {};
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    params.on_progress = [](void* calls, int32_t, double) { return ++*static_cast<int*>(calls), int32_t{1}; };
    int calls = 0;
    params.progress_user_data = &calls;
    CHECK(open_with(&params, &err) == PONDER_STATUS_CANCELLED);
    CHECK(calls == 1);
}

TEST_CASE("capi_errors: buffers report the size that they need") {
    ponder_error err = {};
    ponder_text* text = nullptr;
    REQUIRE(ponder_text_open(ponder_test::tiny_model().c_str(), &text, &err) == PONDER_STATUS_OK);
    size_t needed = 0;
    CHECK(ponder_text_tokenize(text, "hello", 5, 0, nullptr, 0, &needed, &err) == PONDER_STATUS_BUFFER_TOO_SMALL);
    REQUIRE(needed > 0);
    REQUIRE(needed <= 5);
    int32_t tokens[5] = {};
    CHECK(ponder_text_tokenize(text, "hello", 5, 0, tokens, 5, &needed, &err) == PONDER_STATUS_OK);
    char buffer[16] = {};
    size_t size = 0;
    CHECK(ponder_text_detokenize(text, tokens, needed, buffer, 1, &size, &err) == PONDER_STATUS_BUFFER_TOO_SMALL);
    CHECK(size == 5);
    CHECK(ponder_text_detokenize(text, tokens, needed, buffer, sizeof(buffer), &size, &err) == PONDER_STATUS_OK);
    CHECK(std::string(buffer, size) == "hello");
    const int32_t bad = 1 << 30;
    CHECK(ponder_text_detokenize(text, &bad, 1, buffer, sizeof(buffer), &size, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_text_render(text, "{", 1, buffer, sizeof(buffer), &size, &err) == PONDER_STATUS_FORMAT);
    ponder_text_close(text);
}

TEST_CASE("capi_errors: reserved fields and values are for later versions") {
    ponder_model* model = nullptr;
    ponder_model_params model_params = PONDER_MODEL_PARAMS_INIT;
    model_params.weights = 3;
    CHECK(ponder_model_open(ponder_test::tiny_model().c_str(), &model_params, &model, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);
    model = ponder_test::open_tiny_model();
    ponder_session* session = nullptr;
    ponder_session_params session_params = PONDER_SESSION_PARAMS_INIT;
    session_params.reserved = 1;
    CHECK(ponder_session_create(model, &session_params, &session, nullptr) == PONDER_STATUS_UNSUPPORTED);
    session = ponder_test::create_session(model);
    ponder_message message = PONDER_MESSAGE_INIT;
    message.role = "user";
    message.reserved = 1;
    ponder_generation* generation = nullptr;
    CHECK(ponder_session_generate(session, &message, 1, nullptr, &generation, nullptr) == PONDER_STATUS_UNSUPPORTED);
    ponder_evaluation item = PONDER_EVALUATION_INIT;
    item.session = session;
    item.reserved = 1;
    CHECK(ponder_model_evaluate(model, &item, 1, nullptr) == PONDER_STATUS_UNSUPPORTED);
    ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_errors: a stop string that is not UTF-8 would cut a character in two") {
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_session* session = ponder_test::create_session(model);
    const char* stop = "\x80";
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.stop = &stop;
    params.n_stop = 1;
    ponder_generation* generation = nullptr;
    CHECK(ponder_session_ask(session, "hello", &params, &generation, nullptr) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_errors: a plan refuses the contexts that a session refuses") {
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_session_params params = PONDER_SESSION_PARAMS_INIT;
    params.context = INT32_MAX;
    ponder_session* session = nullptr;
    CHECK(ponder_session_create(model, &params, &session, nullptr) == PONDER_STATUS_LIMIT);
    ponder_plan* plan = nullptr;
    CHECK(ponder_plan_create(ponder_test::tiny_model().c_str(), nullptr, &params, &plan, nullptr) == PONDER_STATUS_LIMIT);
    CHECK(plan == nullptr);
    ponder_model_close(model);
}
