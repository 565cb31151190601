// SPDX-License-Identifier: Apache-2.0
// Emits the dense decoder's program layer by layer.
#include "model/block_dense.hpp"

#include <cmath>
#include <utility>

#include "model/decoder.hpp"
#include "model/rope.hpp"
#include "model/weights.hpp"

namespace ponder {

namespace {

class DenseBuilder {
  public:
    DenseBuilder(const ModelFile& file, HyperParameters& h, const DenseStyle& style, int32_t kv_type)
        : file_(file), h_(h), style_(style), weights_(file, program_) {
        program_.kv().type = kv_type;
    }

    Result<Program> build() {
        add_rope();
        if (weights_.failure()) return *weights_.failure();
        auto added = add_decoder(file_, h_, program_, weights_,
                                 [this](size_t layer, OperandId x, OperandId delta) { return add_layer(layer, x, delta); });
        if (!added) return added.error();
        return std::move(program_).finish();
    }

  private:
    void add_rope() {
        std::vector<float> factors;
        if (weights_.has("rope_freqs.weight")) {
            factors = weights_.values("rope_freqs.weight", h_.rope.n_rot / 2);
            for (const float f : factors) {
                if (!(std::isfinite(f) && f > 0.0f))
                    return weights_.fail(make_error(PONDER_STATUS_FORMAT, "tensor 'rope_freqs.weight' holds %g", double{f}));
            }
        }
        RopeTable table = make_rope_table(h_.rope, factors);
        rope_magnitude_ = table.magnitude;
        inverse_frequencies_ = program_.add_constant("rope.inverse_frequencies", std::move(table.inverse_frequencies));
    }

    ponder_rope_params rope_params(int64_t n_heads) const {
        return {static_cast<int32_t>(n_heads), static_cast<int32_t>(h_.k_head_dim), h_.rope.n_rot, style_.rope_style, rope_magnitude_, 0};
    }

    // Projects to n_out columns with the tensor of that name, or with rows of a fused attn_qkv from `first` on.
    OperandId project(const std::string& prefix, const char* part, OperandId x, int64_t n_out, int64_t first, int64_t n_fused,
                      const char* label) {
        const std::string fused = prefix + "attn_qkv";
        const std::string own = prefix + part;
        OperandId weight = kNoOperand, bias = kNoOperand;
        if (!weights_.has(own + ".weight") && weights_.has(fused + ".weight")) {
            weight = weights_.matrix_rows(fused + ".weight", h_.n_embd, n_fused, first, n_out);
            if (weights_.has(fused + ".bias")) {
                const std::vector<float> all = weights_.values(fused + ".bias", n_fused);
                if (!all.empty()) bias = program_.add_constant(own + ".bias", {all.begin() + first, all.begin() + first + n_out});
            }
        } else {
            weight = weights_.matrix(own + ".weight", h_.n_embd, n_out);
            bias = weights_.optional_vector(own + ".bias", n_out);
        }
        return weights_.failure() ? kNoOperand : program_.matmul(x, weight, bias, label);
    }

    // Returns what the layer adds to the residual stream last; the next norm adds it.
    Result<OperandId> add_layer(size_t layer, OperandId x, OperandId delta) {
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        const OperandId attn_norm = weights_.vector(prefix + "attn_norm.weight", h_.n_embd);
        const OperandId ffn_norm = weights_.vector(prefix + "ffn_norm.weight", h_.n_embd);
        if (weights_.failure()) return *weights_.failure();
        auto attention = add_attention(layer, prefix, program_.rms_norm(x, attn_norm, h_.rms_epsilon, delta));
        if (!attention) return attention;

        const OperandId normed = program_.rms_norm(x, ffn_norm, h_.rms_epsilon, *attention);
        const OperandId down = add_gated_ffn(program_, weights_, prefix + "ffn", normed, h_.n_embd, h_.n_ff[layer]);
        if (weights_.failure()) return *weights_.failure();
        return down;
    }

    Result<OperandId> add_attention(size_t layer, const std::string& prefix, OperandId x) {
        const int64_t n_heads = h_.n_heads[layer], n_kv_heads = h_.n_kv_heads[layer];
        const int64_t q_width = n_heads * h_.k_head_dim, k_width = n_kv_heads * h_.k_head_dim, v_width = n_kv_heads * h_.v_head_dim;
        const int64_t n_fused = q_width + k_width + v_width;
        const OperandId q = project(prefix, "attn_q", x, q_width, 0, n_fused, "query");
        const OperandId k = project(prefix, "attn_k", x, k_width, q_width, n_fused, "key");
        const OperandId v = project(prefix, "attn_v", x, v_width, q_width + k_width, n_fused, "value");
        if (weights_.failure()) return *weights_.failure();
        if (style_.has_qk_norm) {
            const OperandId q_norm = weights_.vector(prefix + "attn_q_norm.weight", h_.k_head_dim);
            const OperandId k_norm = weights_.vector(prefix + "attn_k_norm.weight", h_.k_head_dim);
            if (weights_.failure()) return *weights_.failure();
            program_.rms_norm_heads(q, q_norm, h_.rms_epsilon);
            program_.rms_norm_heads(k, k_norm, h_.rms_epsilon);
        }
        program_.rope(q, inverse_frequencies_, rope_params(n_heads));
        program_.rope(k, inverse_frequencies_, rope_params(n_kv_heads));
        const auto kv = program_.kv().add_layer(k_width, v_width);
        if (!kv) return kv.error();
        program_.kv_write(k, v, *kv);
        const OperandId mixed = program_.attention(q, {.kv = *kv,
                                                       .n_heads = static_cast<int32_t>(n_heads),
                                                       .n_kv_heads = static_cast<int32_t>(n_kv_heads),
                                                       .k_head_dim = static_cast<int32_t>(h_.k_head_dim),
                                                       .v_head_dim = static_cast<int32_t>(h_.v_head_dim),
                                                       .scale = 1.0f / std::sqrt(static_cast<float>(h_.k_head_dim))});
        const OperandId out =
            add_projection(program_, weights_, prefix + "attn_output", mixed, n_heads * h_.v_head_dim, h_.n_embd, "attention output");
        if (weights_.failure()) return *weights_.failure();
        return out;
    }

    const ModelFile& file_;
    HyperParameters& h_;
    const DenseStyle& style_;
    ProgramBuilder program_;
    WeightBinder weights_;
    OperandId inverse_frequencies_ = kNoOperand;
    float rope_magnitude_ = 1.0f;
};

}  // namespace

Result<ModelGraph> build_dense(const ModelFile& file, const GraphOptions& options, const std::string& architecture,
                               const DenseStyle& style) {
    auto h = read_hyper_parameters(file.metadata, architecture);
    if (!h) return h.error();
    auto program = DenseBuilder(file, *h, style, options.kv_type).build();
    if (!program) return program.error();
    return ModelGraph{std::move(*h), std::move(*program)};
}

}  // namespace ponder
