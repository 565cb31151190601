// SPDX-License-Identifier: Apache-2.0
// Brings a model's weights into memory: by touching the file's mapping, or into copies in large pages that take its place.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/mapped_file.hpp"
#include "base/result.hpp"
#include "ponder/ponder.h"

namespace ponder {

// See ponder_weights.
enum class WeightMemory : int32_t { kAuto = PONDER_WEIGHTS_AUTO, kMapped = PONDER_WEIGHTS_MAPPED, kCopied = PONDER_WEIGHTS_COPIED };

// Returns when all are there: mapped, or copied. `weights`: parts of files; others are left alone. report(fraction) is called on this
// thread; true stops. Errors: CANCELLED, IO, OUT_OF_MEMORY.
Result<void> load_weights(std::span<const MappedFile> files, std::span<const std::span<const std::byte>> weights, bool copies,
                          int n_threads, const std::function<bool(double)>& report);

// Copies weights while they are in use, in a thread of low priority that mostly rests, if is_wanted() says so there. Stops early when it is
// destroyed, or memory becomes short: each weight is mapped or copied, and reads the same. The files must outlive it.
class WeightCopier {
  public:
    // For weights that have been touched: one that copies them if most are not in large pages. Null where that would gain nothing, or
    // memory is short.
    static std::unique_ptr<WeightCopier> start(std::span<const MappedFile> files, std::span<const std::span<const std::byte>> weights);

    WeightCopier(std::span<const MappedFile> files, std::span<const std::span<const std::byte>> weights, std::function<bool()> is_wanted);
    ~WeightCopier();
    WeightCopier(const WeightCopier&) = delete;
    WeightCopier& operator=(const WeightCopier&) = delete;

    // Whether it has come to an end. Any thread.
    bool is_done() const { return is_done_.load(); }
    uint64_t copied_bytes() const { return copied_bytes_.load(); }

  private:
    void run();

    const std::span<const MappedFile> files_;
    const std::vector<std::span<const std::byte>> weights_;
    const std::function<bool()> is_wanted_;
    std::atomic<bool> is_stopping_{false}, is_done_{false};
    std::mutex mutex_;
    std::condition_variable stopped_;
    std::atomic<uint64_t> copied_bytes_{0};
    std::thread thread_;
};

}  // namespace ponder
