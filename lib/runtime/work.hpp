// SPDX-License-Identifier: Apache-2.0
// How long work is stopped from outside: flags that any thread may set, and a progress callback that may ask for the same.
#pragma once

#include <atomic>
#include <chrono>
#include <span>
#include <thread>

#include "ponder/ponder.h"

namespace ponder {

struct ProgressCallback {
    ponder_progress_fn fn = nullptr;
    void* user_data = nullptr;
};

// One call's view of "should I stop". Created on the calling thread; should_stop() may be called from any thread.
class WorkControl {
  public:
    // cancelled: one flag a session of the work; any of them stops it all.
    WorkControl(std::span<const std::atomic<bool>* const> cancelled, ProgressCallback progress, ponder_stage stage)
        : cancelled_(cancelled), progress_(progress), stage_(stage), caller_(std::this_thread::get_id()) {}

    void set_fraction(double fraction) { fraction_ = fraction; }

    bool should_stop() {
        if (stopped_.load(std::memory_order_relaxed)) return true;
        for (const std::atomic<bool>* flag : cancelled_) {
            if (flag->load(std::memory_order_relaxed)) return true;
        }
        if (progress_.fn != nullptr && std::this_thread::get_id() == caller_) report(false);
        return stopped_.load(std::memory_order_relaxed);
    }

    // Calls the callback now (is_forced), or if the last call is long enough ago. Calling thread only.
    void report(bool is_forced) {
        if (progress_.fn == nullptr) return;
        const auto now = std::chrono::steady_clock::now();
        if (!is_forced && now - last_report_ < std::chrono::milliseconds(20)) return;
        last_report_ = now;
        if (progress_.fn(progress_.user_data, stage_, fraction_) != 0) stopped_.store(true, std::memory_order_relaxed);
    }

  private:
    std::span<const std::atomic<bool>* const> cancelled_;
    ProgressCallback progress_;
    ponder_stage stage_;
    std::thread::id caller_;
    std::atomic<bool> stopped_{false};
    double fraction_ = 0.0;
    std::chrono::steady_clock::time_point last_report_{};
};

}  // namespace ponder
