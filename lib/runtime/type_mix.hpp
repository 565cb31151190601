// SPDX-License-Identifier: Apache-2.0
// Type mixes: which stored type each tensor of a quantised model gets; one table for making models and for converting them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "quant/quant.hpp"

namespace ponder {

// What a tensor is for.
enum class TensorRole {
    kTokenEmbedding,
    kOutput,
    kAttnQ,
    kAttnK,
    kAttnV,
    kAttnOutput,
    kFfnGate,
    kFfnUp,
    kFfnDown,
    kLatentQA,        // attn_q_a
    kLatentQB,        // attn_q_b
    kLatentKvA,       // attn_kv_a_mqa
    kLatentKvB,       // attn_kv_b, or both its parts
    kLatentKB,        // attn_k_b
    kLatentVB,        // attn_v_b
    kRouter,          // ffn_gate_inp: stays F32
    kFfnGateExperts,  // and so on: all routed experts, [n_experts] matrices
    kFfnUpExperts,
    kFfnDownExperts,
    kFfnGateShared,
    kFfnUpShared,
    kFfnDownShared,
    kNorm,
    kBias,
    kRopeFactors,
    kOtherMatrix,  // of no rule: the mix's base type
    kOther,        // not to be quantised
};

struct TypeMix {
    const char* name;       // "Q4_K_M"
    int32_t file_type;      // general.file_type
    const char* base_type;  // of every matrix that no rule names
};

std::span<const TypeMix> type_mixes();

// Without regard to ASCII case. Errors: UNSUPPORTED, listing what there is.
Result<const TypeMix*> find_type_mix(std::string_view name);

// What the rules ask about a model.
struct MixModel {
    int32_t n_layers = 0;
    int32_t n_heads = 1;  // of the first layer
    int32_t n_kv_heads = 1;
    int32_t n_experts = 0;
    bool has_output = true;       // false: the embedding serves as output matrix too
    bool has_importance = false;  // an importance matrix is there
};

// Where a tensor stands; from its GGUF name.
struct TensorPlace {
    TensorRole role = TensorRole::kOther;
    int32_t layer = -1;  // -1: of no layer
};
TensorPlace place_of(std::string_view name, int n_dims);

// Roles whose tensors a mix gives another type than F32.
bool is_quantised_role(TensorRole role);

struct TypeChoice {
    const QuantType* type;    // can be encoded, and n_cols is whole blocks of it
    const QuantType* wanted;  // what the mix says; another than `type` where the rows do not fit it
};

// For a tensor with a quantised role and rows of n_cols.
TypeChoice choose_type(const TypeMix& mix, const MixModel& model, const TensorPlace& place, int64_t n_cols);

}  // namespace ponder
