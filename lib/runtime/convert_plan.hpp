// SPDX-License-Identifier: Apache-2.0
// What a conversion will write: the new file's tensors and where each comes from, and the keys that change.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "format/model_file.hpp"
#include "quant/quant.hpp"
#include "runtime/importance.hpp"
#include "runtime/type_mix.hpp"

namespace ponder::convert {

enum class Layout {
    kAsStored,
    kRotaryPairs,   // the first n_rot rows of each head, two halves in the source, become adjacent pairs
    kLatentKeys,    // attn_k_b [n_nope, n_latent, n_heads], each head's key rows of attn_kv_b transposed
    kLatentValues,  // attn_v_b [n_latent, n_value, n_heads], each head's value rows of attn_kv_b
};

struct OutputTensor {
    std::string name;
    const StoredTensor* source = nullptr;
    const QuantType* type = nullptr;
    const QuantType* wanted = nullptr;  // what the mix says; another than `type` for a fallback
    int n_dims = 0;
    std::array<int64_t, 4> dims = {1, 1, 1, 1};  // fastest first
    Layout layout = Layout::kAsStored;
    int64_t head_rows = 0;  // rows of the source that one head has; 0 for kAsStored
    int64_t n_rot = 0;      // kRotaryPairs
    int64_t n_nope = 0;     // kLatentValues: rows of keys before a head's values
    bool is_copied = false;
    bool has_importance = false;

    uint64_t n_bytes() const;
};

struct Plan {
    std::vector<OutputTensor> tensors;
    std::vector<std::pair<std::string, Value>> keys;  // set after the source's have been copied
    uint64_t n_bytes = 0;                             // of all tensors
    int64_t n_without_importance = 0;
};

// `mix` and `importance` may be null. Errors: see convert_file.
Result<Plan> make_plan(const ModelFile& source, const TypeMix* mix, const ImportanceMatrix* importance);

}  // namespace ponder::convert
