// SPDX-License-Identifier: Apache-2.0
// What shaders/elementwise.comp is told.
#pragma once

#include "vk_recording.hpp"

namespace ponder::vk {

struct ElementwisePush {
    uint64_t a, b, dst, rows;
    uint32_t width, a_stride, b_stride, dst_stride;
};

enum ElementwiseKind : uint32_t { kSwiglu = 0, kAdd = 1, kGather = 2 };

// Swiglu of two vectors a row apart.
void record_swiglu_rows(const Recording& r, uint64_t gate, uint64_t up, uint64_t dst, uint32_t width, uint32_t stride, uint32_t n_rows);

}  // namespace ponder::vk
