// SPDX-License-Identifier: Apache-2.0
// Counts the bytes that a model, its caches and its scratch take, and keeps them under a cap.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "base/result.hpp"

namespace ponder {

class MemoryBudget {
  public:
    // cap 0: no cap.
    explicit MemoryBudget(uint64_t cap) : cap_(cap) {}

    // Before other threads use the budget: sets a cap, and whom to ask when it would be exceeded. `give_up` frees that many bytes of what
    // was taken, or none and returns false; any thread may call it, one at a time.
    void enforce(uint64_t cap, std::function<bool(uint64_t)> give_up) {
        cap_ = cap;
        give_up_ = std::move(give_up);
    }

    // Any thread. Errors: MEMORY_CAP, naming what would have been taken.
    Result<void> take(uint64_t n_bytes, const char* what) {
        const uint64_t before = used_.fetch_add(n_bytes, std::memory_order_relaxed);
        if (cap_ == 0 || before + n_bytes <= cap_ || make_room()) return {};
        used_.fetch_sub(n_bytes, std::memory_order_relaxed);
        return make_error(PONDER_STATUS_MEMORY_CAP, "%s needs %llu bytes beside %llu in use; the memory cap is %llu", what,
                          static_cast<unsigned long long>(n_bytes), static_cast<unsigned long long>(before),
                          static_cast<unsigned long long>(cap_));
    }
    void give_back(uint64_t n_bytes) { used_.fetch_sub(n_bytes, std::memory_order_relaxed); }

    uint64_t used() const { return used_.load(std::memory_order_relaxed); }

  private:
    bool make_room() {
        if (!give_up_) return false;
        const std::lock_guard lock(mutex_);
        const uint64_t now = used();
        if (now <= cap_) return true;
        if (!give_up_(now - cap_)) return false;
        give_back(now - cap_);
        return true;
    }

    uint64_t cap_;
    std::function<bool(uint64_t)> give_up_;
    std::mutex mutex_;
    std::atomic<uint64_t> used_{0};
};

}  // namespace ponder
