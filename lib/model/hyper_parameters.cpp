// SPDX-License-Identifier: Apache-2.0
// Reads and checks hyper-parameters; every error names the key, the value and the limit.
#include "model/hyper_parameters.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "model/key_reader.hpp"

namespace ponder {

namespace {

void read_rope(KeyReader& keys, HyperParameters& h) {
    RopeParameters& rope = h.rope;
    rope.n_rot = static_cast<int32_t>(keys.integer("rope.dimension_count", 2, h.k_head_dim, h.k_head_dim));
    if (rope.n_rot % 2 != 0) {
        keys.fail(make_error(PONDER_STATUS_FORMAT, "%s.rope.dimension_count is %d, it must be even", h.architecture.c_str(), rope.n_rot));
    }
    rope.freq_base = keys.real("rope.freq_base", 0.0f, 1e12f, 10'000.0f);

    const std::string scaling = keys.string("rope.scaling.type", "");
    // Early files give a linear factor alone, under another name.
    const float legacy_factor = keys.real("rope.scale_linear", 0.0f, 1e6f, 1.0f);
    rope.factor = keys.real("rope.scaling.factor", 0.0f, 1e6f, legacy_factor);
    if (scaling == "yarn") {
        rope.scaling = RopeScaling::kYarn;
        rope.original_context = keys.integer("rope.scaling.original_context_length", 1, limits::kMaxContext, h.context_length);
        rope.attention_factor =
            keys.real("rope.scaling.attn_factor", 0.0f, 1e3f, 1.0f) * keys.real("rope.scaling.yarn_attn_factor", 0.0f, 1e3f, 1.0f);
        rope.ext_factor = keys.real("rope.scaling.yarn_ext_factor", -1e-6f, 1e3f, 1.0f);
        rope.beta_fast = keys.real("rope.scaling.yarn_beta_fast", 0.0f, 1e6f, 32.0f);
        rope.beta_slow = keys.real("rope.scaling.yarn_beta_slow", 0.0f, 1e6f, 1.0f);
    } else if (scaling == "linear" || (scaling.empty() && rope.factor != 1.0f)) {
        rope.scaling = RopeScaling::kLinear;
    } else if (!scaling.empty() && scaling != "none") {
        keys.fail(make_error(PONDER_STATUS_UNSUPPORTED, "%s.rope.scaling.type is '%s'; known are none, linear, yarn",
                             h.architecture.c_str(), printable(scaling).c_str()));
    }
}

}  // namespace

Result<HyperParameters> read_hyper_parameters(const Metadata& metadata, const std::string& architecture) {
    HyperParameters h;
    h.architecture = architecture;
    KeyReader general(metadata, "general.");
    h.name = general.string("name", "");

    KeyReader keys(metadata, architecture + ".");
    h.n_layers = keys.integer("block_count", 1, limits::kMaxLayers);
    h.n_embd = keys.integer("embedding_length", 1, limits::kMaxWidth);
    h.context_length = keys.integer("context_length", 1, limits::kMaxContext);
    h.rms_epsilon = keys.real("attention.layer_norm_rms_epsilon", 0.0f, 1.0f);
    if (keys.failure()) return *keys.failure();
    h.n_ff = keys.per_layer("feed_forward_length", h.n_layers, 1, limits::kMaxWidth);
    h.n_heads = keys.per_layer("attention.head_count", h.n_layers, 1, limits::kMaxHeads);
    h.n_kv_heads = keys.per_layer("attention.head_count_kv", h.n_layers, 1, limits::kMaxHeads, &h.n_heads);
    if (keys.failure()) return *keys.failure();

    for (size_t i = 0; i < h.n_heads.size(); i++) {
        if (h.n_heads[i] % h.n_kv_heads[i] != 0) {
            return make_error(PONDER_STATUS_FORMAT, "%s.attention.head_count %lld is not a multiple of head_count_kv %lld",
                              architecture.c_str(), static_cast<long long>(h.n_heads[i]), static_cast<long long>(h.n_kv_heads[i]));
        }
    }
    std::optional<int64_t> default_dim;
    if (h.n_embd % h.n_heads[0] == 0) default_dim = h.n_embd / h.n_heads[0];
    h.k_head_dim = keys.integer("attention.key_length", 1, limits::kMaxWidth, default_dim);
    h.v_head_dim = keys.integer("attention.value_length", 1, limits::kMaxWidth, default_dim);
    if (keys.failure()) return *keys.failure();
    for (const int64_t n_heads : h.n_heads) {
        if (n_heads * std::max(h.k_head_dim, h.v_head_dim) > limits::kMaxWidth) {
            return make_error(PONDER_STATUS_LIMIT, "%s.attention.head_count %lld times the head's length is over the limit of %lld",
                              architecture.c_str(), static_cast<long long>(n_heads), static_cast<long long>(limits::kMaxWidth));
        }
    }
    read_rope(keys, h);
    if (keys.failure()) return *keys.failure();
    if (general.failure()) return *general.failure();
    return h;
}

}  // namespace ponder
