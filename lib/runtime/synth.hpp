// SPDX-License-Identifier: Apache-2.0
// Makes model files of real shapes with random weights, for tests and measurements.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.hpp"

namespace ponder {

struct SynthParams {
    int32_t n_layers = 0;   // 0: the shape's own
    int32_t n_experts = 0;  // 0: the shape's own; shapes without experts take nothing else. See resize_shape in synth_shapes.hpp for both
    std::string type = {};  // name of a type mix, such as "Q4_K_M"; empty: the shape's own
    uint64_t seed = 0;
    std::string tokenizer_path = {};               // a tokenizer.json whose vocabulary goes in; empty: a made-up one of the shape's size
    int32_t n_threads = 0;                         // 0: all cores. The bytes of the file do not depend on it
    std::function<bool(double)> on_progress = {};  // share done, 0 to 1, on the calling thread; false stops. May be empty
};

// Writes the model `shape` to `path`, which appears (or is replaced) only when it is whole. Weights are drawn so that activations keep
// their size through any number of layers, and really encoded in their stored types. Memory: the vocabulary and some tens of MB.
// Errors: NOT_FOUND (shape), UNSUPPORTED (shape, type), INVALID_ARGUMENT, LIMIT, IO, CANCELLED, and those of the tokenizer's file.
Result<void> synthesize(const std::string& shape, const std::string& path, const SynthParams& params);

}  // namespace ponder
