// SPDX-License-Identifier: Apache-2.0
// Emits the router, the chosen experts' feed-forward, the shared experts, and guesses of the next layer's choice.
#include "model/block_moe.hpp"

#include "model/decoder.hpp"

namespace ponder {

ProgramBuilder::Route MixtureOfExperts::add_route(const std::string& prefix, OperandId x) {
    const OperandId router = weights_.matrix(prefix + "ffn_gate_inp.weight", n_embd_, experts_.n_experts);
    const OperandId bias = weights_.optional_vector(prefix + "exp_probs_b.bias", experts_.n_experts);
    if (weights_.failure()) return {kNoOperand, kNoOperand};
    const OperandId logits = program_.matmul(x, router, kNoOperand, "router");
    return program_.moe_route(logits, bias,
                              {.n_used = static_cast<int32_t>(experts_.n_used),
                               .n_groups = static_cast<int32_t>(experts_.groups.n_groups),
                               .n_groups_used = static_cast<int32_t>(experts_.groups.n_groups_used),
                               .gating = experts_.gating,
                               .is_normalised = experts_.is_normalised,
                               .scale = experts_.scale});
}

ProgramBuilder::Experts MixtureOfExperts::bind_experts(const std::string& prefix) {
    const int64_t n = experts_.n_experts;
    ProgramBuilder::Experts bound{kNoOperand, kNoOperand, kNoOperand};
    if (weights_.has(prefix + "ffn_gate_up_exps.weight")) {
        bound.gate = weights_.matrices(prefix + "ffn_gate_up_exps.weight", n_embd_, 2 * experts_.n_ff, n);
    } else {
        bound.gate = weights_.matrices(prefix + "ffn_gate_exps.weight", n_embd_, experts_.n_ff, n);
        bound.up = weights_.matrices(prefix + "ffn_up_exps.weight", n_embd_, experts_.n_ff, n);
    }
    bound.down = weights_.matrices(prefix + "ffn_down_exps.weight", experts_.n_ff, n_embd_, n);
    if (weights_.failure() || !is_streaming_) return bound;
    for (const OperandId weight : {bound.gate, bound.up, bound.down}) {
        if (weight != kNoOperand) program_.set_streamed(weight);
    }
    return bound;
}

OperandId MixtureOfExperts::add(size_t layer, OperandId x, bool is_last_layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const ProgramBuilder::Experts experts = next_experts_.down != kNoOperand ? next_experts_ : bind_experts(prefix);
    next_experts_ = {kNoOperand, kNoOperand, kNoOperand};
    const ProgramBuilder::Route route = add_route(prefix, x);
    if (weights_.failure()) return kNoOperand;
    if (is_streaming_ && !is_last_layer) {
        // The residual stream changes little from layer to layer, so the next router, asked now, names most of the experts that it will.
        const std::string next = "blk." + std::to_string(layer + 1) + ".";
        next_experts_ = bind_experts(next);
        const ProgramBuilder::Route guess = add_route(next, x);
        if (weights_.failure()) return kNoOperand;
        program_.moe_prefetch(guess.experts, next_experts_);
    }
    const OperandId sum = program_.moe_ffn(x, route, experts);
    if (experts_.n_shared > 0) {
        const OperandId shared =
            add_gated_ffn(program_, weights_, prefix + "ffn", x, n_embd_, experts_.n_shared * experts_.n_ff, "_shexp");
        if (weights_.failure()) return kNoOperand;
        program_.add(sum, shared);
    }
    return sum;
}

}  // namespace ponder
