// SPDX-License-Identifier: Apache-2.0
// Attention as both operators ask for it.
#pragma once

#include "vk_recording.hpp"

namespace ponder::vk {

// shaders/attention.comp
struct AttentionPush {
    uint64_t q, dst, parts, header, positions, first_pages;
    uint32_t q_stride, dst_stride, k_dim, v_dim, k_width, v_width, k_base, v_base, n_heads, group, n_parts, dst_head;
    float scale;
};

// The rest of `push` is filled in here.
void attend(const Recording& r, AttentionPush push, uint32_t n_kv_heads, uint64_t q_bytes, uint64_t dst_bytes, uint64_t parts_bytes);

}  // namespace ponder::vk
