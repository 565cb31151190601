// SPDX-License-Identifier: Apache-2.0
// Holds the log sink behind a mutex and formats messages into a fixed buffer.
#include "base/log.hpp"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace ponder {

namespace {

struct Sink {
    ponder_log_fn fn = nullptr;
    void* user_data = nullptr;
};

constexpr int32_t kSilent = 1000;
constinit std::mutex sink_mutex;
constinit Sink sink;
constinit std::atomic<int32_t> sink_level{kSilent};

}  // namespace

void set_log_sink(ponder_log_fn fn, void* user_data, int32_t min_level) {
    const std::lock_guard lock(sink_mutex);
    sink = {fn, user_data};
    sink_level.store(fn != nullptr ? min_level : kSilent, std::memory_order_relaxed);
}

void log_message(ponder_log_level level, const char* format, ...) {
    if (level < sink_level.load(std::memory_order_relaxed)) return;
    Sink current;
    {
        const std::lock_guard lock(sink_mutex);
        current = sink;
    }
    if (current.fn == nullptr) return;
    char text[1024];
    va_list args;
    va_start(args, format);
    const int n = std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= 0) current.fn(current.user_data, level, text);
}

}  // namespace ponder
