// SPDX-License-Identifier: Apache-2.0
// A queue of threads. The callback of one that waits runs without the lock, so it may do what it likes.
#include "runtime/turns.hpp"

#include <algorithm>
#include <chrono>

namespace ponder {

Result<void> Turns::begin(WorkControl& control) {
    const auto self = std::this_thread::get_id();
    std::unique_lock lock(mutex_);
    if (std::find(queue_.begin(), queue_.end(), self) != queue_.end())
        return make_error(PONDER_STATUS_BUSY, "this thread is in a callback of the same model's work");
    queue_.push_back(self);
    while (queue_.front() != self) {
        lock.unlock();
        const bool is_stopped = control.should_stop();
        lock.lock();
        if (is_stopped) {
            std::erase(queue_, self);
            moved_.notify_all();
            return make_error(PONDER_STATUS_CANCELLED, "cancelled while another session was running");
        }
        if (queue_.front() != self) moved_.wait_for(lock, std::chrono::milliseconds(5));
    }
    return {};
}

void Turns::end() {
    {
        const std::lock_guard lock(mutex_);
        queue_.erase(queue_.begin());
    }
    moved_.notify_all();
}

}  // namespace ponder
