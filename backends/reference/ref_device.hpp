// SPDX-License-Identifier: Apache-2.0
// The reference backend's plan: the program itself with scratch memory.
#pragma once

#include <cstddef>
#include <vector>

#include "host/host_backend.hpp"

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

struct Plan : ponder_compiled {
    std::vector<float> experts;
    std::vector<ThreadScratch> threads;
};

}  // namespace ponder::ref
