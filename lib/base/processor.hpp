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

// The processors that n_threads of computation should keep to, hardware threads of one core included: those of the fast cores where some of
// `allowed` are slow and there are fast ones for all threads. Empty: there is no reason to keep to any.
std::vector<int> processors_to_keep_to(int n_threads, std::span<const int> allowed, const std::string& root = {});

// Those that the calling thread may run on; empty where the system does not say.
std::vector<int> allowed_processors();

// Keeps the calling thread to these. Only a hint: where the system refuses, the thread runs where it may.
void keep_thread_to(std::span<const int> processors);

}  // namespace ponder
