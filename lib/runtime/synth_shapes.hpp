// SPDX-License-Identifier: Apache-2.0
// The models that can be synthesised: their hyper-parameters as data, and the metadata and tensors that follow from them.
#pragma once

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
};

// Decides a tensor's stored type in a mix, and how its values are drawn.
using ponder::TensorRole;

struct SynthTensor {
    std::string name;
    TensorRole role;
    int32_t layer;   // -1: of no layer
    int64_t n_cols;  // inputs; the row length
    int64_t n_rows;  // outputs; 1 for vectors
    int32_t type;    // id of a QuantType
    // Values are mean + std_dev * (a draw of variance 1), except for kRopeFactors, whose values are given.
    float mean;
    float std_dev;

    bool is_vector() const { return role == TensorRole::kNorm || role == TensorRole::kBias || role == TensorRole::kRopeFactors; }
};

std::span<const SynthShape> synth_shapes();

// Errors: UNSUPPORTED for shapes that are known but cannot be made yet, NOT_FOUND for others; both list what there is.
Result<const SynthShape*> find_synth_shape(std::string_view name);

// Hyper-parameters of the shape with n_layers layers, without tokenizer and file type.
void set_hyper_parameters(const SynthShape& shape, int32_t n_layers, Metadata& metadata);

// All tensors in file order, as F32.
std::vector<SynthTensor> list_synth_tensors(const SynthShape& shape, int32_t n_layers);

// Llama 3.1's divisors of the rotation frequencies, [head_dim / 2].
std::vector<float> llama3_rope_factors(int32_t head_dim, float rope_theta);

}  // namespace ponder::synth
