// SPDX-License-Identifier: Apache-2.0
// Opening what a command works on: the model of -m or the one beside the program, its sessions, its text side.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "handles.hpp"
#include "options.hpp"
#include "terminal.hpp"

namespace ponder::tool {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start);

struct OpenedModel {
    ModelHandle handle;
    ponder_model_info info;  // strings borrowed from the handle
    double load_s;
    std::string cache_path{};    // of --device-cache
    std::string cache_before{};  // what the file held
};

// The file of -m, or tiny-reasoner.gguf in the program's folder or in ../share/ponder from there. Throws Failure if there is none.
std::string model_path(const ModelOptions& options);
// All three throw Failure.
OpenedModel open_model(const ModelOptions& options, ProgressBar& bar);
// Writes the device's cache to the file of --device-cache, if one was given and it has changed. A cache is a convenience: what keeps it
// from being written is a warning.
void keep_device_cache(const OpenedModel& model);
SessionHandle make_session(const OpenedModel& model, const ModelOptions& options, int32_t default_context);
TextHandle open_text(const std::string& path);

// Ids of `text`. flags: ponder_tokenize_flags. Throws Failure.
std::vector<int32_t> tokenize(const ponder_text* text, std::string_view bytes, uint32_t flags);

// Most rows of logits [rows, n_vocab] that a command holds at once: about 128 MiB, at least one.
size_t logits_rows_at_once(int32_t n_vocab);

}  // namespace ponder::tool
