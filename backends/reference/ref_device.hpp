// SPDX-License-Identifier: Apache-2.0
// The reference backend's own types: a device is a thread pool, a buffer is host memory, a plan is the program itself with scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread_pool.hpp"
#include "ponder/ponder_backend.h"

struct ponder_device_handle {
    std::unique_ptr<ponder::ThreadPool> pool;
};

struct ponder_buffer {
    std::unique_ptr<std::byte[]> owned;  // null if the memory is imported
    const std::byte* data = nullptr;
    uint64_t n_bytes = 0;
};

namespace ponder::ref {

// Floats of working memory that a program asks for, beside the operands.
struct ScratchSizes {
    // A thread's.
    size_t panel = 0;             // [kPanelRows, n_in], decoded weights
    size_t tile = 0;              // [kTileRows, n_in], rows padded to a whole tile
    size_t row = 0;               // one decoded slice of a cached key or value
    size_t scores_per_token = 0;  // heads of a group
    size_t latent = 0;            // ref_mla.cpp's matrices
    // The plan's.
    size_t experts = 0;  // ref_moe.cpp's rows
};

// Memory that one thread works in; kept between runs.
struct ThreadScratch {
    std::vector<float> panel, tile, row, latent;
    std::vector<float> scores;  // [heads of a group, context]; grows with the context
};

}  // namespace ponder::ref

struct ponder_compiled {
    ponder_device_handle* device = nullptr;
    const ponder_program* program = nullptr;
    int32_t max_rows = 0, max_outputs = 0;
    int64_t n_tokens = 0;  // token numbers below this have a row in every embedding table
    bool has_streams = false;
    std::unique_ptr<float[]> scratch;  // [scratch_floats * max_rows]
    std::vector<float> experts;
    std::vector<ponder::ref::ThreadScratch> threads;
};
