// SPDX-License-Identifier: Apache-2.0
// Who may use a model's device: one thread at a time, in the order of arrival, whatever the session and its cache type.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "runtime/work.hpp"

namespace ponder {

class Turns {
  public:
    // Waits until the device is the calling thread's, which then calls end(). Errors: CANCELLED (control says stop), BUSY (the thread has
    // or awaits a turn already: a callback of the model's own work asks the model for more, and would wait for itself).
    Result<void> begin(WorkControl& control);
    void end();

  private:
    std::mutex mutex_;
    std::condition_variable moved_;
    std::vector<std::thread::id> queue_;  // the first has the device
};

// Ends a turn that was begun.
class TurnEnd {
  public:
    explicit TurnEnd(Turns& turns) : turns_(turns) {}
    ~TurnEnd() { turns_.end(); }
    TurnEnd(const TurnEnd&) = delete;
    TurnEnd& operator=(const TurnEnd&) = delete;

  private:
    Turns& turns_;
};

}  // namespace ponder
