// SPDX-License-Identifier: Apache-2.0
// The rest of ponder.hpp: what a model will cost (Plan), what is in its file (File), and which devices there are.
#ifndef PONDER_PONDER_FILES_HPP
#define PONDER_PONDER_FILES_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ponder.h"
#include "ponder_options.hpp"

namespace ponder {
inline namespace api {

// What Model::open and one session with these options will cost, from the file's header alone.
class Plan {
  public:
    // A plan over the memory cap is a plan whose info().fits is 0, not an Error.
    static Plan create(const std::string& path, const ModelOptions& options = {}, const SessionOptions& session = {}) {
        detail::Progress progress{options.on_progress, nullptr};
        detail::Placement placement;
        const ponder_model_params model_params = detail::model_params(options, progress, placement);
        const ponder_session_params session_params = detail::session_params(session);
        ponder_plan* handle = nullptr;
        ponder_error err;
        const ponder_status status = ponder_plan_create(detail::c_text(path, "path"), &model_params, &session_params, &handle, &err);
        Plan plan(handle);
        progress.rethrow();
        detail::check(status, err);
        return plan;
    }
    ponder_plan_info info() const {
        ponder_plan_info info = PONDER_PLAN_INFO_INIT;
        ponder_error err;
        detail::check(ponder_plan_describe(get(), &info, &err), err);
        return info;
    }
    // The share of each device, info().n_devices of them; the names inside are static.
    std::vector<ponder_plan_device> devices() const {
        std::vector<ponder_plan_device> shares;
        const int32_t n_devices = info().n_devices;
        for (int32_t i = 0; i < n_devices; i++) {
            ponder_plan_device share = PONDER_PLAN_DEVICE_INIT;
            ponder_error err;
            detail::check(ponder_plan_describe_device(get(), i, &share, &err), err);
            shares.push_back(share);
        }
        return shares;
    }
    ponder_plan* get() const noexcept { return handle_.get(); }

  private:
    explicit Plan(ponder_plan* handle) noexcept : handle_(handle) {}
    detail::Handle<ponder_plan, ponder_plan_destroy> handle_;
};

// A model file of any architecture, opened to look inside; weights are never read.
class File {
  public:
    static File open(const std::string& path) {
        ponder_file* handle = nullptr;
        ponder_error err;
        detail::check(ponder_file_open(detail::c_text(path, "path"), &handle, &err), err);
        return File(handle);
    }
    // Writes a model of a real model's shape ("r1-distill-qwen-1.5b", "deepseek-r1", ...) with random weights, for tests and measurements.
    static void synthesize(const std::string& shape, const std::string& path, const SynthOptions& options = {}) {
        detail::Progress progress{options.on_progress, nullptr};
        ponder_synth_params params = PONDER_SYNTH_PARAMS_INIT;
        params.n_layers = options.n_layers;
        params.n_experts = options.n_experts;
        params.type = detail::c_text_or_null(options.type, "type");
        params.seed = options.seed;
        params.tokenizer_path = detail::c_text_or_null(options.tokenizer_path, "tokenizer_path");
        params.on_progress = progress.c_fn();
        params.progress_user_data = &progress;
        ponder_error err;
        const ponder_status status = ponder_file_synthesize(detail::c_text(shape, "shape"), detail::c_text(path, "path"), &params, &err);
        progress.rethrow();
        detail::check(status, err);
    }
    // Writes the model at `in` as one GGUF file, quantised if options.type says so; the result says what was done.
    static ponder_convert_report convert(const std::string& in, const std::string& out, const ConvertOptions& options = {}) {
        detail::Progress progress{options.on_progress, nullptr};
        ponder_convert_report report = PONDER_CONVERT_REPORT_INIT;
        ponder_convert_params params = PONDER_CONVERT_PARAMS_INIT;
        params.n_threads = options.n_threads;
        params.type = detail::c_text_or_null(options.type, "type");
        params.imatrix_path = detail::c_text_or_null(options.imatrix_path, "imatrix_path");
        params.report = &report;
        params.on_progress = progress.c_fn();
        params.progress_user_data = &progress;
        ponder_error err;
        const ponder_status status = ponder_file_convert(detail::c_text(in, "in"), detail::c_text(out, "out"), &params, &err);
        progress.rethrow();
        detail::check(status, err);
        return report;
    }
    // Strings inside are borrowed until the File is destroyed.
    ponder_file_info info() const {
        ponder_file_info info = PONDER_FILE_INFO_INIT;
        ponder_error err;
        detail::check(ponder_file_describe(get(), &info, &err), err);
        return info;
    }
    // Tensor i of 0..info().n_tensors-1; its name is borrowed until the File is destroyed.
    ponder_tensor_info tensor(int64_t i) const {
        ponder_tensor_info info = PONDER_TENSOR_INFO_INIT;
        ponder_error err;
        detail::check(ponder_file_describe_tensor(get(), i, &info, &err), err);
        return info;
    }
    // Key i of 0..info().n_keys-1 and its value as JSON text; arrays longer than max_elements (0: all) are cut.
    std::pair<std::string, std::string> metadata(int64_t i, size_t max_elements = 0) const {
        const char* key = nullptr;
        std::string value = detail::fill_buffer<std::string>(256, [&](char* buffer, size_t n, size_t* needed, ponder_error* err) {
            return ponder_file_metadata(get(), i, max_elements, &key, buffer, n, needed, err);
        });
        return {key ? key : "", std::move(value)};
    }
    // Lines for people about what the library does with the file and its keys do not say; none for most files.
    std::vector<std::string> remarks() const {
        std::vector<std::string> lines;
        const int64_t n_remarks = info().n_remarks;
        for (int64_t i = 0; i < n_remarks; i++) {
            const char* line = nullptr;
            ponder_error err;
            detail::check(ponder_file_remark(get(), i, &line, &err), err);
            lines.emplace_back(line);
        }
        return lines;
    }
    ponder_file* get() const noexcept { return handle_.get(); }

  private:
    explicit File(ponder_file* handle) noexcept : handle_(handle) {}
    detail::Handle<ponder_file, ponder_file_close> handle_;
};

// All devices of all backends in this build, none of them opened; entry i is what ModelOptions::device = i means.
inline std::vector<ponder_device_info> devices() {
    std::vector<ponder_device_info> all;
    const int32_t n_devices = ponder_device_count();
    for (int32_t i = 0; i < n_devices; i++) {
        ponder_device_info info = PONDER_DEVICE_INFO_INIT;
        ponder_error err;
        detail::check(ponder_device_describe(i, &info, &err), err);
        all.push_back(info);
    }
    return all;
}

}  // namespace api
}  // namespace ponder

#endif  // PONDER_PONDER_FILES_HPP
