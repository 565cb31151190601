// SPDX-License-Identifier: Apache-2.0
// What a host learns about a model that is larger than its memory cap.
#include <ponder/ponder.hpp>
#include <ponder/ponder_files.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "tiny_model.hpp"

using namespace ponder::literals;

namespace {

// Experts enough to exceed a cap that also counts the process itself.
std::string large_model() {
    const std::string path = ponder_test::scratch_path("experts.gguf");
    ponder_synth_params params = PONDER_SYNTH_PARAMS_INIT;
    params.type = "F32";
    params.n_layers = 7;
    params.n_experts = 256;
    ponder_error err = {};
    const ponder_status status = ponder_file_synthesize("tiny-deepseek-v3", path.c_str(), &params, &err);
    INFO(err.message);
    REQUIRE(status == PONDER_STATUS_OK);
    return path;
}

}  // namespace

TEST_CASE("capi_streaming: a model that is in memory counts tokens and nothing else") {
    ponder_model* model = ponder_test::open_tiny_model();
    ponder_streaming_info info;
    std::memset(&info, 0x55, sizeof info);
    info.struct_size = sizeof info;
    ponder_error err = {};
    REQUIRE(ponder_model_describe_streaming(model, &info, &err) == PONDER_STATUS_OK);
    const ponder_streaming_info nothing = PONDER_STREAMING_INFO_INIT;
    CHECK(std::memcmp(&info, &nothing, sizeof info) == 0);

    ponder_session* session = ponder_test::create_session(model, 64);
    const int32_t tokens[] = {1, 2, 3};
    REQUIRE(ponder_session_evaluate(session, tokens, 3, nullptr, 0, &err) == PONDER_STATUS_OK);
    REQUIRE(ponder_model_describe_streaming(model, &info, nullptr) == PONDER_STATUS_OK);
    CHECK(info.n_tokens == 3);
    CHECK(info.is_streaming == 0);
    CHECK(info.bytes_read == 0);

    info.struct_size = sizeof info - 1;
    CHECK(ponder_model_describe_streaming(model, &info, &err) == PONDER_STATUS_INVALID_ARGUMENT);
    ponder_session_destroy(session);
    ponder_model_close(model);
}

TEST_CASE("capi_streaming: counts of a streamed model grow with its work") {
    const std::string path = large_model();
    auto model = ponder::Model::open(path, {.memory_cap = 96_MiB, .n_threads = 1});
    const ponder_streaming_info before = model.streaming_info();
    REQUIRE(before.is_streaming == 1);
    CHECK(before.capacity_bytes > 0);
    CHECK(before.capacity_bytes < 96_MiB);
    CHECK(before.n_tokens == 0);
    CHECK(before.n_demanded == 0);
    CHECK(before.bytes_read == 0);

    auto session = model.session({.context = 64});
    const std::vector<int32_t> tokens = {5, 6, 7, 8};
    session.evaluate(tokens);
    const ponder_streaming_info first = model.streaming_info();
    CHECK(first.n_tokens == 4);
    CHECK(first.n_demanded > 0);
    CHECK(first.bytes_read > 0);
    CHECK(first.held_bytes > 0);
    CHECK(first.held_bytes <= first.capacity_bytes);

    // The same tokens need the same experts, which there is room for.
    session.rewind(0);
    session.evaluate(tokens);
    const ponder_streaming_info second = model.streaming_info();
    CHECK(second.n_tokens == 8);
    CHECK(second.n_demanded == 2 * first.n_demanded);
    CHECK(second.n_hits - first.n_hits == first.n_demanded);
}
