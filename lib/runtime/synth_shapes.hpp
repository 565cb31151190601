// SPDX-License-Identifier: Apache-2.0
// The models that can be synthesised: their hyper-parameters as data, and the metadata and tensors that follow from them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "format/metadata.hpp"
#include "runtime/type_mix.hpp"

namespace ponder::synth {

struct VocabularyFamily;

enum class RopeScaling { kNone, kLlama3, kYarn };

// Of shapes whose rope_scaling is kYarn.
struct YarnShape {
    float factor = 0;
    int32_t original_context = 0;  // tokens
    float attn_factor = 0;         // 0: no such key
    float log_multiplier = 0;      // 0: no such key
};

// Latent attention (DeepSeek-V2, section 2.1). kv_rank is 0 in shapes that do not have it.
struct LatentShape {
    int32_t q_rank = 0;  // 0: queries come from one full matrix
    int32_t kv_rank = 0;
    int32_t nope_dim = 0, rope_dim = 0, v_dim = 0;  // of each head
};

// Routed and shared experts (DeepSeek-V3, section 2.1.2). n_experts is 0 in shapes that have none.
struct ExpertShape {
    int32_t n_experts = 0, n_used = 0, n_shared = 0;
    int32_t n_ff = 0;             // inner width of one expert
    int32_t n_leading_dense = 0;  // the first layers, which have one dense feed-forward network instead
    int32_t n_groups = 1, n_groups_used = 1;
    bool is_sigmoid = false;     // scores are sigmoids, and a bias takes part in the choice; otherwise they are a softmax
    bool is_normalised = false;  // the used experts' weights are divided by their sum
    float weights_scale = 1;
};

struct SynthShape {
    const char* name;   // what callers ask for
    const char* title;  // general.name
    const char* architecture;
    int32_t n_layers;
    int32_t n_embd;
    int32_t n_heads;
    int32_t n_kv_heads;
    int32_t head_dim;
    int32_t n_ff;
    int32_t n_vocab;
    int32_t n_context;
    float rope_theta;
    float rms_eps;
    RopeScaling rope_scaling;
    const VocabularyFamily* vocabulary;
    const char* default_type;  // name of a TypeMix
    YarnShape yarn = {};
    LatentShape latent = {};  // with it, head_dim is a head's unrotated and rotated elements together
    ExpertShape experts = {};
};

// Decides a tensor's stored type in a mix, and how its values are drawn.
using ponder::TensorRole;

struct SynthTensor {
    std::string name;
    TensorRole role;
    int32_t layer;   // -1: of no layer
    int64_t n_cols;  // inputs; the row length
    int64_t n_rows;  // outputs, of one matrix; 1 for vectors
    int32_t type;    // id of a QuantType
    // Values are mean + std_dev * (a draw of variance 1), except for kRopeFactors, whose values are given.
    float mean;
    float std_dev;
    int32_t n_matrices = 0;  // of a tensor [n_matrices, n_rows, n_cols]; 0: it has not that dimension

    int64_t total_rows() const { return n_rows * std::max(n_matrices, 1); }
    bool is_float_only() const { return is_vector() || role == TensorRole::kRouter; }  // F32 in every mix
    bool is_vector() const { return role == TensorRole::kNorm || role == TensorRole::kBias || role == TensorRole::kRopeFactors; }
};

std::span<const SynthShape> synth_shapes();

// Errors: NOT_FOUND, listing what there is.
Result<const SynthShape*> find_synth_shape(std::string_view name);

// The shape with another number of layers or experts (0: its own). What the two imply is scaled with them: leading dense layers, one for
// every 16 layers, at least one and at most as many as the shape has; used experts, at most all; groups, the most up to the shape's
// number that are equal, have at least two experts each, and of whose usual share (more, where these would hold too few experts) some are
// left out; none where that is impossible. Errors: INVALID_ARGUMENT for experts in a shape that has none, or fewer than two.
Result<SynthShape> resize_shape(const SynthShape& shape, int32_t n_layers, int32_t n_experts);

// Hyper-parameters of the shape with n_layers layers, without tokenizer and file type.
void set_hyper_parameters(const SynthShape& shape, int32_t n_layers, Metadata& metadata);

// All tensors in file order, as F32.
std::vector<SynthTensor> list_synth_tensors(const SynthShape& shape, int32_t n_layers);

}  // namespace ponder::synth
