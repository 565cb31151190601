// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V2, V3 and R1: multi-head latent attention, and experts behind a few dense layers.
#include <utility>

#include "model/architecture.hpp"
#include "model/block_latent_attention.hpp"
#include "model/block_moe.hpp"
#include "model/decoder.hpp"
#include "model/deepseek_parameters.hpp"

namespace ponder {

namespace {

// A layer that predicts a further token: kept with the file, not part of the program. Its shapes are checked, so that it can be used.
void expect_next_layer(WeightBinder& weights, const DeepseekParameters& p, int64_t layer) {
    const int64_t n_embd = p.common.n_embd;
    const std::string prefix = "blk." + std::to_string(layer) + ".nextn.";
    weights.expect(prefix + "eh_proj.weight", {2 * n_embd, n_embd});
    weights.expect(prefix + "enorm.weight", {n_embd});
    weights.expect(prefix + "hnorm.weight", {n_embd});
    if (weights.has(prefix + "shared_head_norm.weight")) weights.expect(prefix + "shared_head_norm.weight", {n_embd});
}

class DeepseekBuilder {
  public:
    DeepseekBuilder(const ModelFile& file, DeepseekParameters& p, const GraphOptions& options)
        : file_(file),
          p_(p),
          weights_(file, program_),
          attention_(program_, weights_, p.common, p.latent),
          moe_(program_, weights_, p.common.n_embd, p.experts, options.is_streaming) {
        program_.kv().type = options.kv_type;
    }

    Result<Program> build() {
        auto added = add_decoder(file_, p_.common, program_, weights_,
                                 [this](size_t layer, OperandId x, OperandId delta) { return add_layer(layer, x, delta); });
        if (!added) return added.error();
        for (int64_t i = 0; i < p_.common.n_next_layers; i++) expect_next_layer(weights_, p_, p_.common.n_layers + i);
        if (weights_.failure()) return *weights_.failure();
        return std::move(program_).finish();
    }

  private:
    Result<OperandId> add_layer(size_t layer, OperandId x, OperandId delta) {
        const HyperParameters& h = p_.common;
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        const OperandId attn_norm = weights_.vector(prefix + "attn_norm.weight", h.n_embd);
        const OperandId ffn_norm = weights_.vector(prefix + "ffn_norm.weight", h.n_embd);
        if (weights_.failure()) return *weights_.failure();
        auto attention = attention_.add(layer, program_.rms_norm(x, attn_norm, h.rms_epsilon, delta));
        if (!attention) return attention;
        const OperandId normed = program_.rms_norm(x, ffn_norm, h.rms_epsilon, *attention);
        const bool is_dense = static_cast<int64_t>(layer) < p_.experts.n_leading_dense;
        const bool is_last = static_cast<int64_t>(layer) + 1 == h.n_layers;
        const OperandId sum = is_dense ? add_gated_ffn(program_, weights_, prefix + "ffn", normed, h.n_embd, h.n_ff[layer])
                                       : moe_.add(layer, normed, is_last);
        if (weights_.failure()) return *weights_.failure();
        return sum;
    }

    const ModelFile& file_;
    DeepseekParameters& p_;
    ProgramBuilder program_;
    WeightBinder weights_;
    LatentAttention attention_;
    MixtureOfExperts moe_;
};

}  // namespace

Result<ModelGraph> build_deepseek2(const ModelFile& file, const GraphOptions& options) {
    auto p = read_deepseek_parameters(file);
    if (!p) return p.error();
    auto program = DeepseekBuilder(file, *p, options).build();
    if (!program) return program.error();
    return ModelGraph{std::move(p->common), std::move(*program)};
}

}  // namespace ponder
