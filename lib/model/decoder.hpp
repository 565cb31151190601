// SPDX-License-Identifier: Apache-2.0
// What all pre-norm decoders share: the embedding, the residual stream through the layers, the output head, and the gated feed-forward.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "model/hyper_parameters.hpp"
#include "model/weights.hpp"

namespace ponder {

// Adds one layer to the residual stream x; `delta` is what the layer before left to be added to it (kNoOperand: nothing). Returns its own.
using AddLayer = std::function<Result<OperandId>(size_t layer, OperandId x, OperandId delta)>;

// Tensors: token_embd, output_norm, output (tied to token_embd if absent). Sets h.n_vocab.
Result<void> add_decoder(const ModelFile& file, HyperParameters& h, ProgramBuilder& program, WeightBinder& weights,
                         const AddLayer& add_layer);

// x . NAME.weight (+ NAME.bias). kNoOperand after a failure of `weights`.
OperandId add_projection(ProgramBuilder& program, WeightBinder& weights, const std::string& name, OperandId x, int64_t n_in, int64_t n_out,
                         const char* label);

// down(silu(gate x) * up x) of the tensors {prefix}_gate{suffix}, {prefix}_up{suffix} and {prefix}_down{suffix}.
OperandId add_gated_ffn(ProgramBuilder& program, WeightBinder& weights, const std::string& prefix, OperandId x, int64_t n_embd,
                        int64_t n_ff, const std::string& suffix = "");

}  // namespace ponder
