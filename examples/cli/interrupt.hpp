// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM: a handler that only leaves a mark, and the thread that turns the mark into a cancelled session.
#pragma once

#include <ponder/ponder.h>

#include <thread>
#include <vector>

namespace ponder::tool {

// Installs the handler for SIGINT and SIGTERM; call once, before other threads start. The third signal that nobody has cleared ends the
// process at once, so that a stuck one can still be stopped from its terminal. Throws Failure.
void install_interrupt_handler();

// True once a signal came, until it is cleared.
bool is_interrupted();
void clear_interrupt();

// Throws Failure "cancelled" if a signal came.
void stop_if_interrupted();

// Waits until `fd` can be read without blocking (or is at its end). False if a signal came instead.
bool wait_readable(int fd);

// While it lives, a signal cancels these sessions. The library's cancel may take locks, so it is called from a thread and never from the
// signal handler; and it is repeated, because a cancel between two calls on a session leaves no trace.
class CancelOnInterrupt {
  public:
    explicit CancelOnInterrupt(std::vector<ponder_session*> sessions);
    ~CancelOnInterrupt();
    CancelOnInterrupt(const CancelOnInterrupt&) = delete;
    CancelOnInterrupt& operator=(const CancelOnInterrupt&) = delete;

  private:
    void watch() const;

    std::vector<ponder_session*> sessions_;  // borrowed, outlive this
    int stop_pipe_[2];                       // its write end is closed to end the thread
    std::thread thread_;
};

}  // namespace ponder::tool
