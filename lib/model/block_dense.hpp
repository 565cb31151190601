// SPDX-License-Identifier: Apache-2.0
// The dense pre-norm decoder that llama, qwen2 and qwen3 share: grouped-query attention and a gated feed-forward, with a few switches.
#pragma once

#include "model/architecture.hpp"

namespace ponder {

struct DenseStyle {
    int32_t rope_style;  // ponder_rope_style
    bool has_qk_norm;    // RMS norms over each head of Q and K, before RoPE
};

// Tensors, by GGUF's names: token_embd, output_norm, output (tied to token_embd if absent), rope_freqs (optional), and in each layer
// attn_norm, attn_{q,k,v} (or attn_qkv) with optional biases, attn_output, ffn_norm, ffn_{gate,up,down} with optional biases.
Result<ModelGraph> build_dense(const ModelFile& file, const GraphOptions& options, const std::string& architecture,
                               const DenseStyle& style);

}  // namespace ponder
