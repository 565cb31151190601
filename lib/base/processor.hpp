// SPDX-License-Identifier: Apache-2.0
// Which of the processors that a process may use are worth a thread of computation.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace ponder {

// Of these processors, by the system's numbers, one for each core that is made for sustained work: of a core's hardware threads, which
// share its multipliers, the first; where cores are of several kinds (Intel's hybrid processors, Arm's big and LITTLE ones) the fast ones,
// because all threads wait for the slowest. In the given order; never empty if `allowed` is not. `root` comes before every path that is
// read: a folder that stands for / in tests.
std::vector<int> cores_for_work(std::span<const int> allowed, const std::string& root = {});

}  // namespace ponder
