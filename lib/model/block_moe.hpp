// SPDX-License-Identifier: Apache-2.0
// A mixture of routed and shared experts (DeepSeek-V3, arXiv 2412.19437, section 2.1.2) as the feed-forward of a layer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "model/deepseek_parameters.hpp"
#include "model/weights.hpp"

namespace ponder {

// Tensors of a layer: ffn_gate_inp, exp_probs_b (optional bias), ffn_{gate,up,down}_exps or ffn_gate_up_exps with ffn_down_exps, and with
// shared experts ffn_{gate,up,down}_shexp.
class MixtureOfExperts {
  public:
    // is_streaming: the routed experts' weights are reached through the run's source, and each layer guesses the next one's experts.
    MixtureOfExperts(ProgramBuilder& program, WeightBinder& weights, int64_t n_embd, const ExpertParameters& experts, bool is_streaming)
        : program_(program), weights_(weights), n_embd_(n_embd), experts_(experts), is_streaming_(is_streaming) {}

    // The feed-forward branch for the normed input x; kNoOperand after a failure of the tensors.
    OperandId add(size_t layer, OperandId x, bool is_last_layer);

  private:
    struct Tensors {
        OperandId router = kNoOperand, bias = kNoOperand;
        ProgramBuilder::Experts experts{kNoOperand, kNoOperand, kNoOperand};
    };
    Tensors bind(size_t layer);
    ProgramBuilder::Experts bind_experts(const std::string& prefix);
    ProgramBuilder::Route add_route(const Tensors& tensors, OperandId x);

    ProgramBuilder& program_;
    WeightBinder& weights_;
    const int64_t n_embd_;
    const ExpertParameters& experts_;
    const bool is_streaming_;
    std::optional<Tensors> next_;  // of the next layer, if this one guesses its experts
};

}  // namespace ponder
