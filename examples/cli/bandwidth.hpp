// SPDX-License-Identifier: Apache-2.0
// How fast this machine reads memory: the bound of decoding, which reads every weight once a step.
#pragma once

namespace ponder::tool {

// Bytes per second that `n_threads` threads together read from a buffer larger than the last-level cache: the best of several passes.
// Takes about a second. Throws Failure if interrupted, std::bad_alloc if the buffer does not fit.
double measure_read_bandwidth(int n_threads);

}  // namespace ponder::tool
