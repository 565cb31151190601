// SPDX-License-Identifier: Apache-2.0
// Walks a model's layers as its modules are nested in the transformers library.
#include "runtime/hf_tensors.hpp"

#include <string_view>
#include <utility>

namespace ponder::hf {
namespace {

class Lister {
  public:
    explicit Lister(const Config& config) : c_(config) {}

    std::vector<Tensor> run() {
        add_matrix("token_embd.weight", "model.embed_tokens.weight", c_.n_embd, c_.n_vocab);
        for (int64_t i = 0; i < c_.n_layers + c_.n_next_layers; i++) {
            blk_ = "blk." + std::to_string(i) + ".";
            hf_ = layer_prefix(i);
            if (i >= c_.n_layers) add_prediction();
            add_layer(i);
        }
        add_vector("output_norm.weight", "model.norm.weight", c_.n_embd);
        // A tied head is sometimes stored all the same; it is the embedding.
        if (!c_.is_tied) add_matrix("output.weight", "lm_head.weight", c_.n_embd, c_.n_vocab);
        return std::move(tensors_);
    }

  private:
    Tensor& add(std::string name, std::string hf_name, std::initializer_list<int64_t> dims) {
        Tensor& tensor = tensors_.emplace_back();
        tensor.name = std::move(name);
        tensor.hf_name = std::move(hf_name);
        tensor.n_dims = static_cast<int>(dims.size());
        std::copy(dims.begin(), dims.end(), tensor.dims.begin());
        return tensor;
    }
    Tensor& add_vector(std::string name, std::string hf_name, int64_t n) { return add(std::move(name), std::move(hf_name), {n}); }
    Tensor& add_matrix(std::string name, std::string hf_name, int64_t n_in, int64_t n_out) {
        return add(std::move(name), std::move(hf_name), {n_in, n_out});
    }
    // Of the current layer; a bias is taken if there is one.
    void add_projection(const char* name, const std::string& hf_name, int64_t n_in, int64_t n_out, bool has_bias = false) {
        add_matrix(blk_ + name + ".weight", hf_ + hf_name + ".weight", n_in, n_out).is_projection = true;
        add_vector(blk_ + name + ".bias", hf_ + hf_name + ".bias", n_out).is_optional = !has_bias;
    }
    void add_norm(const char* name, const std::string& hf_name, int64_t n) {
        add_vector(blk_ + name + ".weight", hf_ + hf_name + ".weight", n);
    }

    void add_layer(int64_t layer) {
        add_norm("attn_norm", "input_layernorm", c_.n_embd);
        c_.is_latent ? add_latent_attention() : add_attention();
        add_norm("ffn_norm", "post_attention_layernorm", c_.n_embd);
        if (c_.n_experts > 0 && layer >= c_.n_leading_dense) return add_experts();
        add_feed_forward("", "mlp.", c_.n_ff);
    }

    void add_attention() {
        const int64_t q = c_.n_heads * c_.head_dim, kv = c_.n_kv_heads * c_.head_dim;
        add_projection("attn_q", "self_attn.q_proj", c_.n_embd, q, c_.has_biases);
        add_projection("attn_k", "self_attn.k_proj", c_.n_embd, kv, c_.has_biases);
        add_projection("attn_v", "self_attn.v_proj", c_.n_embd, kv, c_.has_biases);
        if (c_.has_qk_norm) {
            add_norm("attn_q_norm", "self_attn.q_norm", c_.head_dim);
            add_norm("attn_k_norm", "self_attn.k_norm", c_.head_dim);
        }
        add_projection("attn_output", "self_attn.o_proj", q, c_.n_embd);
    }

    void add_latent_attention() {
        const int64_t q = c_.n_heads * c_.head_dim, rank = c_.kv_lora_rank;
        if (c_.q_lora_rank > 0) {
            add_projection("attn_q_a", "self_attn.q_a_proj", c_.n_embd, c_.q_lora_rank);
            add_norm("attn_q_a_norm", "self_attn.q_a_layernorm", c_.q_lora_rank);
            add_projection("attn_q_b", "self_attn.q_b_proj", c_.q_lora_rank, q);
        } else {
            add_projection("attn_q", "self_attn.q_proj", c_.n_embd, q);
        }
        add_projection("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa", c_.n_embd, rank + c_.rope_dim);
        add_norm("attn_kv_a_norm", "self_attn.kv_a_layernorm", rank);
        add_matrix(blk_ + "attn_kv_b.weight", hf_ + "self_attn.kv_b_proj.weight", rank, c_.n_heads * (c_.nope_dim + c_.v_dim))
            .is_projection = true;
        add_projection("attn_output", "self_attn.o_proj", c_.n_heads * c_.v_dim, c_.n_embd);
    }

    void add_feed_forward(const std::string& suffix, const std::string& module, int64_t n_ff) {
        add_projection(("ffn_gate" + suffix).c_str(), module + "gate_proj", c_.n_embd, n_ff);
        add_projection(("ffn_up" + suffix).c_str(), module + "up_proj", c_.n_embd, n_ff);
        add_projection(("ffn_down" + suffix).c_str(), module + "down_proj", n_ff, c_.n_embd);
    }

    void add_expert_matrices(const char* name, const char* hf_name, int64_t n_in, int64_t n_out) {
        const std::string stored = hf_ + "mlp.experts." + kExpertMark + "." + hf_name + ".weight";
        Tensor& tensor = add(blk_ + name + ".weight", stored, {n_in, n_out, c_.n_experts});
        tensor.n_experts = c_.n_experts;
        tensor.is_projection = true;
    }

    void add_experts() {
        add_matrix(blk_ + "ffn_gate_inp.weight", hf_ + "mlp.gate.weight", c_.n_embd, c_.n_experts);
        if (c_.has_selection_bias) {
            add_vector(blk_ + "exp_probs_b.bias", hf_ + "mlp.gate.e_score_correction_bias", c_.n_experts).is_float32 = true;
        }
        add_expert_matrices("ffn_gate_exps", "gate_proj", c_.n_embd, c_.n_expert_ff);
        add_expert_matrices("ffn_up_exps", "up_proj", c_.n_embd, c_.n_expert_ff);
        add_expert_matrices("ffn_down_exps", "down_proj", c_.n_expert_ff, c_.n_embd);
        if (c_.n_shared > 0) add_feed_forward("_shexp", "mlp.shared_experts.", c_.n_shared * c_.n_expert_ff);
    }

    // In front of the layer proper. Embedding and head repeat the model's, and some folders leave them out.
    void add_prediction() {
        const size_t n_before = tensors_.size();
        add_matrix(blk_ + "nextn.embed_tokens.weight", hf_ + "embed_tokens.weight", c_.n_embd, c_.n_vocab);
        add_vector(blk_ + "nextn.shared_head_norm.weight", hf_ + "shared_head.norm.weight", c_.n_embd);
        add_matrix(blk_ + "nextn.shared_head_head.weight", hf_ + "shared_head.head.weight", c_.n_embd, c_.n_vocab);
        for (size_t i = n_before; i < tensors_.size(); i++) tensors_[i].is_optional = tensors_[i].is_published = true;
        add_norm("nextn.enorm", "enorm", c_.n_embd);
        add_norm("nextn.hnorm", "hnorm", c_.n_embd);
        add_matrix(blk_ + "nextn.eh_proj.weight", hf_ + "eh_proj.weight", 2 * c_.n_embd, c_.n_embd);
    }

    const Config& c_;
    std::vector<Tensor> tensors_;
    std::string blk_, hf_;
};

}  // namespace

std::string Tensor::hf_name_of(int64_t expert) const {
    std::string text = hf_name;
    return text.replace(text.find(kExpertMark), std::string_view(kExpertMark).size(), std::to_string(expert));
}

std::string layer_prefix(int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

std::vector<Tensor> list_tensors(const Config& config) { return Lister(config).run(); }

}  // namespace ponder::hf
