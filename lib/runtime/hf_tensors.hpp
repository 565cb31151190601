// SPDX-License-Identifier: Apache-2.0
// The tensors that a Hugging Face model must have, under their names and GGUF's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/hf_config.hpp"

namespace ponder::hf {

struct Tensor {
    std::string name;     // GGUF's
    std::string hf_name;  // of experts: with kExpertMark where the number of one stands
    int n_dims = 1;
    std::array<int64_t, 4> dims = {1, 1, 1, 1};      // fastest first
    int64_t n_experts = 0;                           // 0: stored as one tensor; else dims[2], each stored alone
    bool is_projection = false;                      // F8_E4M3 in FP8 models
    bool is_optional = false, is_published = false;  // may be missing; although it is there as published
    bool is_float32 = false;                         // whatever the others are

    std::string hf_name_of(int64_t expert) const;
};

inline constexpr char kExpertMark[] = "{}";

// In the order of the layers.
std::vector<Tensor> list_tensors(const Config& config);

// What the names of a layer's tensors begin with: "model.layers.7.".
std::string layer_prefix(int64_t layer);

}  // namespace ponder::hf
