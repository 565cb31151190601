// SPDX-License-Identifier: Apache-2.0
// Implementation of opening models, sessions and texts for commands.
#include "model.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "failure.hpp"
#include "fill_buffer.hpp"
#include "input.hpp"
#include "output_file.hpp"

namespace ponder::tool {
namespace {

constexpr const char* kDefaultModel = "tiny-reasoner.gguf";
constexpr size_t kLogitsBytesAtOnce = size_t{128} << 20;

}  // namespace

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string model_path(const ModelOptions& options) {
    if (!options.path.empty()) return options.path;
    std::error_code problem;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", problem);
    if (!problem) {
        const std::filesystem::path folder = program.parent_path();
        for (const std::filesystem::path& place : {folder.parent_path() / "share" / "ponder" / kDefaultModel, folder / kDefaultModel}) {
            if (std::filesystem::exists(place, problem)) return place.string();
        }
    }
    throw Failure{"no model: give one with -m FILE"};
}

OpenedModel open_model(const ModelOptions& options, ProgressBar& bar) {
    const std::string path = model_path(options);
    Placement placement;
    ponder_model_params params = to_model_params(options, bar, placement);
    std::error_code problem;
    const bool has_cache = !options.device_cache.empty() && std::filesystem::exists(options.device_cache, problem);
    const std::string cache = has_cache ? read_file(options.device_cache) : std::string();
    params.device_cache = cache.empty() ? nullptr : cache.data();
    params.device_cache_size = cache.size();
    const Clock::time_point start = Clock::now();
    ponder_error error;
    ponder_model* model = nullptr;
    const ponder_status status = ponder_model_open(path.c_str(), &params, &model, &error);
    bar.clear();
    check(status, error);
    OpenedModel opened{ModelHandle(model), PONDER_MODEL_INFO_INIT, seconds_since(start), options.device_cache, cache};
    check(ponder_model_describe(model, &opened.info, &error), error);
    return opened;
}

void keep_device_cache(const OpenedModel& model) {
    if (model.cache_path.empty()) return;
    try {
        const auto bytes = fill_buffer<std::string>(0, [&](char* buffer, size_t capacity, size_t* n_needed, ponder_error* error) {
            return ponder_model_device_cache(model.handle.get(), buffer, capacity, n_needed, error);
        });
        if (bytes.empty() || bytes == model.cache_before) return;
        OutputFile file(model.cache_path);
        file.write(bytes);
        file.commit();
    } catch (const Failure& failure) {
        std::fprintf(stderr, "warning: the device cache was not kept: %s\n", one_line(failure.why).c_str());
    }
}

SessionHandle make_session(const OpenedModel& model, const ModelOptions& options, int32_t default_context) {
    const ponder_session_params params = to_session_params(options, default_context);
    ponder_error error;
    ponder_session* session = nullptr;
    check(ponder_session_create(model.handle.get(), &params, &session, &error), error);
    return SessionHandle(session);
}

TextHandle open_text(const std::string& path) {
    ponder_error error;
    ponder_text* text = nullptr;
    check(ponder_text_open(path.c_str(), &text, &error), error);
    return TextHandle(text);
}

std::vector<int32_t> tokenize(const ponder_text* text, std::string_view bytes, uint32_t flags) {
    // Tokens are rarely more than bytes plus a BOS, so the second round is rare.
    return fill_buffer<std::vector<int32_t>>(
        bytes.size() + 2, [&](int32_t* buffer, size_t capacity, size_t* n_needed, ponder_error* error) {
            return ponder_text_tokenize(text, bytes.data(), bytes.size(), flags, buffer, capacity, n_needed, error);
        });
}

size_t logits_rows_at_once(int32_t n_vocab) {
    return std::max<size_t>(1, kLogitsBytesAtOnce / (static_cast<size_t>(std::max(n_vocab, 1)) * sizeof(float)));
}

}  // namespace ponder::tool
