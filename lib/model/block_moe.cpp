// SPDX-License-Identifier: Apache-2.0
// Emits the router, the chosen experts' feed-forward, the shared experts, and guesses of the next layer's choice.
#include "model/block_moe.hpp"

#include "model/decoder.hpp"

namespace ponder {

ProgramBuilder::Route MixtureOfExperts::add_route(const Tensors& tensors, OperandId x) {
    const OperandId logits = program_.matmul(x, tensors.router, kNoOperand, "router");
    return program_.moe_route(logits, tensors.bias,
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

MixtureOfExperts::Tensors MixtureOfExperts::bind(size_t layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    Tensors tensors;
    tensors.experts = bind_experts(prefix);
    tensors.router = weights_.matrix(prefix + "ffn_gate_inp.weight", n_embd_, experts_.n_experts);
    tensors.bias = weights_.optional_vector(prefix + "exp_probs_b.bias", experts_.n_experts);
    return tensors;
}

OperandId MixtureOfExperts::add(size_t layer, OperandId x, bool is_last_layer) {
    const Tensors tensors = next_ ? *next_ : bind(layer);
    next_.reset();
    if (weights_.failure()) return kNoOperand;
    const ProgramBuilder::Route route = add_route(tensors, x);
    if (is_streaming_ && !is_last_layer) {
        // The residual stream changes little from layer to layer, so the next router, asked now, names most of the experts that it will.
        next_ = bind(layer + 1);
        if (weights_.failure()) return kNoOperand;
        program_.moe_prefetch(add_route(*next_, x).experts, next_->experts);
    }
    const OperandId sum = program_.moe_ffn(x, route, tensors.experts);
    if (experts_.n_shared > 0) {
        const std::string prefix = "blk." + std::to_string(layer) + ".ffn";
        const OperandId shared = add_gated_ffn(program_, weights_, prefix, x, n_embd_, experts_.n_shared * experts_.n_ff, "_shexp");
        if (weights_.failure()) return kNoOperand;
        program_.add(sum, shared);
    }
    return sum;
}

}  // namespace ponder
