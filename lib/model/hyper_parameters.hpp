// SPDX-License-Identifier: Apache-2.0
// Hyper-parameters of dense transformer models, read from a file's metadata and checked on their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "format/metadata.hpp"

namespace ponder {

enum class RopeScaling { kNone, kLinear, kYarn };

struct RopeParameters {
    int32_t n_rot = 0;            // rotated elements of each head
    float freq_base = 10'000.0f;  // theta
    RopeScaling scaling = RopeScaling::kNone;
    float factor = 1.0f;             // context extension factor
    int64_t original_context = 0;    // tokens; YaRN's reference length
    float attention_factor = 1.0f;   // multiplies YaRN's magnitude
    bool has_own_magnitude = false;  // the magnitude is attention_factor alone
    float ext_factor = 1.0f, beta_fast = 32.0f, beta_slow = 1.0f;
};

struct HyperParameters {
    std::string architecture, name;
    int64_t n_layers = 0, n_embd = 0, n_vocab = 0, context_length = 0;
    int64_t k_head_dim = 0, v_head_dim = 0;
    std::vector<int64_t> n_heads, n_kv_heads, n_ff;  // [n_layers]
    float rms_epsilon = 0.0f;
    RopeParameters rope;
    int64_t n_next_layers = 0;  // layers behind the main ones that predict further tokens (MTP); n_layers does not count them
};

// Reads `{architecture}.*`. Errors: FORMAT for what is missing, of the wrong type or contradictory; LIMIT past base/limits.hpp;
// UNSUPPORTED for rope scalings that are not known.
Result<HyperParameters> read_hyper_parameters(const Metadata& metadata, const std::string& architecture);

}  // namespace ponder
