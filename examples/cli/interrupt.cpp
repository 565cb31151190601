// SPDX-License-Identifier: Apache-2.0
// Signals of the tool: self-pipe, waiting that a signal ends, and the cancelling thread.
#include "interrupt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

#include "failure.hpp"

namespace ponder::tool {
namespace {

constexpr int kSignalsThatEndTheProcess = 3;
constexpr int kRepeatCancelMs = 50;

std::atomic<int> signal_count{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");
// Readable from a signal until clear_interrupt, so that any number of threads can wait for it.
int signal_pipe[2] = {-1, -1};

extern "C" void handle_signal(int number) {
    const int saved_errno = errno;
    if (signal_count.fetch_add(1) + 1 >= kSignalsThatEndTheProcess) {
        std::signal(number, SIG_DFL);
        raise(number);
    }
    const char mark = 0;
    // The pipe does not block: if it is full, it is readable, which is all that is needed.
    [[maybe_unused]] const ssize_t n = write(signal_pipe[1], &mark, 1);
    errno = saved_errno;
}

void make_pipe(int (&ends)[2]) {
    if (pipe(ends) != 0) fail("making a pipe: %s", std::strerror(errno));
    for (const int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
}

}  // namespace

void install_interrupt_handler() {
    make_pipe(signal_pipe);
    for (const int end : signal_pipe) fcntl(end, F_SETFL, O_NONBLOCK);
    struct sigaction action = {};
    action.sa_handler = handle_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool is_interrupted() { return signal_count.load() > 0; }

void clear_interrupt() {
    char drained[16];
    while (read(signal_pipe[0], drained, sizeof drained) > 0) {
    }
    signal_count.store(0);
}

void stop_if_interrupted() {
    if (is_interrupted()) throw Failure{"cancelled"};
}

bool wait_readable(int fd) {
    while (true) {
        if (is_interrupted()) return false;
        pollfd waits[2] = {{fd, POLLIN, 0}, {signal_pipe[0], POLLIN, 0}};
        if (poll(waits, 2, -1) < 0 && errno != EINTR) fail("waiting for input: %s", std::strerror(errno));
        if (is_interrupted()) return false;
        if (waits[0].revents != 0) return true;
    }
}

CancelOnInterrupt::CancelOnInterrupt(std::vector<ponder_session*> sessions) : sessions_(std::move(sessions)) {
    make_pipe(stop_pipe_);
    try {
        thread_ = std::thread([this] { watch(); });
    } catch (const std::system_error& error) {
        close(stop_pipe_[0]);
        close(stop_pipe_[1]);
        fail("starting a thread: %s", error.what());
    }
}

CancelOnInterrupt::~CancelOnInterrupt() {
    close(stop_pipe_[1]);
    thread_.join();
    close(stop_pipe_[0]);
}

void CancelOnInterrupt::watch() const {
    pollfd waits[2] = {{stop_pipe_[0], POLLIN, 0}, {signal_pipe[0], POLLIN, 0}};
    while (true) {
        const bool is_cancelling = is_interrupted();
        poll(waits, is_cancelling ? 1 : 2, is_cancelling ? kRepeatCancelMs : -1);
        if (waits[0].revents != 0) return;
        if (is_interrupted()) {
            for (ponder_session* session : sessions_) ponder_session_cancel(session);
        }
    }
}

}  // namespace ponder::tool
