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

// Memory that one thread works in; kept between runs.
struct ThreadScratch {
    std::vector<float> panel;   // [kPanelRows, n_in], decoded weights
    std::vector<float> tile;    // [kTileRows, n_in], rows padded to a whole tile
    std::vector<float> row;     // one decoded slice of a cached key or value
    std::vector<float> scores;  // [heads of a group, context]
};

}  // namespace ponder::ref

struct ponder_compiled {
    ponder_device_handle* device = nullptr;
    const ponder_program* program = nullptr;
    int32_t max_rows = 0, max_outputs = 0;
    int64_t n_tokens = 0;              // token numbers below this have a row in every embedding table
    std::unique_ptr<float[]> scratch;  // [scratch_floats * max_rows]
    std::vector<ponder::ref::ThreadScratch> threads;
};
