// SPDX-License-Identifier: Apache-2.0
// Looking into model files: remarks on what the library does with them, and structs of older callers.
#include <doctest/doctest.h>
#include <ponder/ponder.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <ponder/ponder.hpp>
#include <string>

#include "tiny_model.hpp"

namespace {

// A model with as many experts as R1 has. Without its group keys (spelt differently, to keep the file's size) it is an older file.
std::string many_experts_model(bool has_group_keys) {
    const std::string path = ponder_test::scratch_path("many-experts.gguf");
    ponder_synth_params params = PONDER_SYNTH_PARAMS_INIT;
    params.type = "Q8_0";
    params.n_layers = 2;
    params.n_experts = 256;
    ponder_error err = {};
    const ponder_status status = ponder_file_synthesize("tiny-deepseek-v3", path.c_str(), &params, &err);
    INFO(err.message);
    REQUIRE(status == PONDER_STATUS_OK);
    if (has_group_keys) return path;
    std::ifstream input(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(input)), std::istreambuf_iterator<char>());
    for (const std::string key : {"deepseek2.expert_group_count", "deepseek2.expert_group_used_count"}) {
        const size_t place = bytes.find(key);
        REQUIRE(place != std::string::npos);
        bytes[place] = 'D';
    }
    ponder_test::write_file(path, bytes);
    return path;
}

}  // namespace

TEST_CASE("capi_files: an older file of R1 is remarked on, others are not") {
    ponder_error err = {};
    for (const bool has_group_keys : {true, false}) {
        CAPTURE(has_group_keys);
        const std::string path = many_experts_model(has_group_keys);
        ponder_file* file = nullptr;
        REQUIRE(ponder_file_open(path.c_str(), &file, &err) == PONDER_STATUS_OK);
        ponder_file_info info = PONDER_FILE_INFO_INIT;
        REQUIRE(ponder_file_describe(file, &info, &err) == PONDER_STATUS_OK);
        CHECK(info.n_remarks == (has_group_keys ? 0 : 1));
        const char* remark = nullptr;
        for (int64_t i = 0; i < info.n_remarks; ++i) {
            REQUIRE(ponder_file_remark(file, i, &remark, &err) == PONDER_STATUS_OK);
            CHECK(std::strstr(remark, "no deepseek2.expert_group_count; the published 8 groups, of which 4 are kept") != nullptr);
        }
        for (const int64_t i : {int64_t{-1}, info.n_remarks, INT64_MAX}) {
            remark = "x";
            CHECK(ponder_file_remark(file, i, &remark, &err) == PONDER_STATUS_NOT_FOUND);
            CHECK(remark == nullptr);
        }
        CHECK(ponder_file_remark(file, 0, nullptr, &err) == PONDER_STATUS_INVALID_ARGUMENT);
        ponder_file_close(file);
        CHECK(ponder::File::open(path).remarks().size() == (has_group_keys ? 0 : 1));
    }
}

TEST_CASE("capi_files: a caller of the time before remarks gets the fields that it knows") {
    ponder_error err = {};
    ponder_file* file = nullptr;
    REQUIRE(ponder_file_open(ponder_test::tiny_model().c_str(), &file, &err) == PONDER_STATUS_OK);
    ponder_file_info info = PONDER_FILE_INFO_INIT;
    info.struct_size = offsetof(ponder_file_info, n_remarks);
    info.n_remarks = -7;
    REQUIRE(ponder_file_describe(file, &info, &err) == PONDER_STATUS_OK);
    CHECK(info.n_tensors > 0);
    CHECK(info.n_remarks == -7);
    ponder_file_close(file);
}
