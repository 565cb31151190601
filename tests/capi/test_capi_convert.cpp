// SPDX-License-Identifier: Apache-2.0
// ponder_file_convert through the C interface and through ponder.hpp: reports, stopping, parameters of other versions.
#include <doctest/doctest.h>
#include <ponder/ponder.h>

#include <filesystem>
#include <ponder/ponder.hpp>
#include <stdexcept>
#include <string>

#include "tiny_model.hpp"

namespace {

std::string type_of(const std::string& path, const std::string& tensor) {
    const ponder::File file = ponder::File::open(path);
    for (int64_t i = 0; i < file.info().n_tensors; i++) {
        if (file.tensor(i).name == tensor) return file.tensor(i).type;
    }
    return "none";
}

}  // namespace

TEST_CASE("capi_convert: a model in other types, and the report") {
    const std::string in = ponder_test::tiny_model(), out = ponder_test::scratch_path("converted.gguf");
    ponder_convert_report report = PONDER_CONVERT_REPORT_INIT;
    ponder_convert_params params = PONDER_CONVERT_PARAMS_INIT;
    params.type = "Q8_0";
    params.n_threads = 2;
    params.report = &report;
    ponder_error err = {};
    REQUIRE(ponder_file_convert(in.c_str(), out.c_str(), &params, &err) == PONDER_STATUS_OK);
    CHECK(report.struct_size == sizeof report);
    CHECK(report.n_tensors == 27);
    CHECK(report.n_fallbacks == 0);
    CHECK(report.written_bytes == ponder::File::open(out).info().tensor_bytes);
    CHECK(report.source_bytes == ponder::File::open(in).info().tensor_bytes);
    CHECK(type_of(out, "blk.0.attn_q.weight") == "Q8_0");

    REQUIRE(ponder_file_convert(in.c_str(), out.c_str(), nullptr, &err) == PONDER_STATUS_OK);
    CHECK(std::filesystem::file_size(out) == std::filesystem::file_size(in));
    std::filesystem::remove(out);
}

TEST_CASE("capi_convert: what is refused or stopped leaves nothing") {
    const std::string in = ponder_test::tiny_model(), out = ponder_test::scratch_path("never.gguf");
    ponder_error err = {};
    const auto status_with = [&](auto&& change) {
        ponder_convert_params params = PONDER_CONVERT_PARAMS_INIT;
        params.type = "Q8_0";
        change(params);
        const ponder_status status = ponder_file_convert(in.c_str(), out.c_str(), &params, &err);
        CHECK_FALSE(std::filesystem::exists(out));
        return status;
    };
    CHECK(status_with([](auto& params) { params.type = "Q9"; }) == PONDER_STATUS_UNSUPPORTED);
    CHECK(std::string(err.message).find("Q9") != std::string::npos);
    CHECK(status_with([](auto& params) { params.n_threads = -1; }) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(status_with([](auto& params) { params.struct_size = 8; }) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(status_with([](auto& params) { params.imatrix_path = "no-such-file"; }) == PONDER_STATUS_IO);
    CHECK(status_with([](auto& params) { params.on_progress = [](void*, int32_t, double) { return int32_t{1}; }; }) ==
          PONDER_STATUS_CANCELLED);
    ponder_convert_report report = {};  // its struct_size is not set
    CHECK(status_with([&](auto& params) { params.report = &report; }) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(ponder_file_convert("no-such-file", out.c_str(), nullptr, &err) == PONDER_STATUS_IO);
}

TEST_CASE("ponder_hpp: File::convert") {
    const std::string in = ponder_test::tiny_model(), out = ponder_test::scratch_path("converted-hpp.gguf");
    double last = 0;
    const auto report =
        ponder::File::convert(in, out, {.type = "Q4_K_M", .n_threads = 1, .on_progress = [&](ponder::Stage stage, double share) {
                                            last = share;
                                            return stage == ponder::Stage::kWrite;
                                        }});
    CHECK(last == doctest::Approx(1.0));
    CHECK(report.n_fallbacks == 15);
    CHECK(type_of(out, "blk.1.attn_q.weight") == "Q5_0");
    std::filesystem::remove(out);
    const auto thrower = [](ponder::Stage, double) -> bool { throw std::logic_error("mine"); };
    CHECK_THROWS_AS(ponder::File::convert(in, out, {.on_progress = thrower}), std::logic_error);
    CHECK_THROWS_AS(ponder::File::convert(in, out, {.type = "Q9"}), ponder::Error);
    CHECK_FALSE(std::filesystem::exists(out));
}
