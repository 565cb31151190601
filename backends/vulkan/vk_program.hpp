// SPDX-License-Identifier: Apache-2.0
// A program as this backend runs it: which operators merge with others, and where operands lie in scratch.
#pragma once

#include <cstdint>
#include <vector>

#include "ponder/ponder_backend.h"

namespace ponder::vk {

// Products of up to this many source rows read each weight once (matvec.glsl); more rows go through tiles.
inline constexpr int32_t kFewRows = 8;
// Logits come to the host this many rows at a time.
inline constexpr int32_t kLogitRows = 16;

// How an operator merges with others. Merging never changes which operands hold what, except for those that nobody reads afterwards.
struct Merge {
    int32_t added_to = -1;       // a product whose result is only added to this operand: it does so itself, and the sum is left out
    bool is_added = false;       // a norm or a sum whose second operand arrived that way
    int32_t norm = -1;           // a product that can apply this norm to its source itself
    bool is_foldable = false;    // a norm that all its readers can apply
    int32_t gate = -1, up = -1;  // a swiglu of two products alike
    int32_t rope = -1;           // a cache write whose keys nobody else reads: it rotates them itself
    bool is_roped = false;       // that rotation
    bool is_gated = false;       // one of the two
};

// Working memory of one operator.
struct Temporary {
    int32_t op = 0;
    uint64_t n_floats = 0, offset = 0;  // offset in floats
};

struct Layout {
    std::vector<Merge> merges;           // [n_ops]
    std::vector<uint32_t> strides;       // [n_operands], floats from row to row; multiples of 4, but for routes
    std::vector<uint64_t> offsets;       // [n_operands], floats
    std::vector<Temporary> temporaries;  // by operator, in the order that the operator uses them
    uint64_t n_floats = 0;

    // The i-th temporary of an operator.
    const Temporary& temporary(int32_t op, int32_t i) const;
};

Layout lay_out(const ponder_program& program, int32_t max_rows, int32_t max_outputs);

// Query heads that a workgroup of attention takes together, and parts that a sequence is cut into for n_rows rows.
uint32_t attention_heads(uint32_t group, uint32_t k_dim);
uint32_t attention_parts(uint32_t n_rows, uint32_t n_workgroups);

}  // namespace ponder::vk
