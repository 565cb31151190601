// SPDX-License-Identifier: Apache-2.0
// Worker threads that draw indices from one atomic counter within a job, or from one a thread, and sleep where the next job does not follow
// at once.
#include "base/thread_pool.hpp"

#include <algorithm>
#include <cmath>
#include <system_error>
#include <utility>

#include "base/control_group.hpp"
#include "base/processor.hpp"

namespace ponder {

namespace {

void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

// Waits some tens of microseconds for a condition; false if it did not come.
template <class Condition>
bool look_out(const Condition& condition) {
    constexpr int kLooks = 2000;
    for (int i = 0; i < kLooks; i++) {
        if (condition()) return true;
        relax();
    }
    return false;
}

}  // namespace

int available_cores() {
    const std::vector<int> allowed = allowed_processors();
    const auto n_cores = allowed.empty() ? std::thread::hardware_concurrency() : cores_for_work(allowed).size();
    // Threads beyond a container's share of time would stand still together until its next period, in the middle of a product.
    return std::max(1, static_cast<int>(std::min(static_cast<double>(n_cores), std::ceil(cpu_limit_of_groups()))));
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int n_threads) {
    std::unique_ptr<ThreadPool> pool(new ThreadPool);
    try {
        pool->runs_ = std::vector<Run>(static_cast<size_t>(std::max(n_threads, 1)));
        // The caller's thread is the host's, which may have put it where it likes.
        const std::vector<int> processors = n_threads > 1 ? processors_to_keep_to(n_threads, allowed_processors()) : std::vector<int>();
        for (int i = 1; i < n_threads; i++) {
            pool->workers_.emplace_back([p = pool.get(), i, processors] {
                keep_thread_to(processors);
                p->work(i);
            });
        }
    } catch (const std::system_error& e) {
        pool->stop();
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "cannot start thread %zu of %d: %s", pool->workers_.size() + 2, n_threads, e.what());
    }
    return pool;
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_.store(true);
    }
    job_posted_.notify_all();
    for (auto& worker : workers_) worker.join();
    workers_.clear();
}

void ThreadPool::call(const Job& job, int64_t index, int thread) {
    try {
        job.call(job.context, index, thread);
    } catch (...) {
        const std::lock_guard lock(mutex_);
        if (failure_ == nullptr) failure_ = std::current_exception();
        is_failing_.store(true, std::memory_order_relaxed);
    }
}

void ThreadPool::take_items(const Job& job, int thread) {
    if (job.number != 0) return take_runs(job, thread);
    while (!is_failing_.load(std::memory_order_relaxed)) {
        const int64_t index = next_item_.fetch_add(1, std::memory_order_relaxed);
        if (index >= job.n_items) return;
        call(job, index, thread);
    }
}

// First the thread's own run, then what is left of the others'.
void ThreadPool::take_runs(const Job& job, int thread) {
    const auto n = static_cast<int64_t>(runs_.size());
    // A run's counter starts at zero with the first who takes from it in this job.
    const auto take = [&](std::atomic<uint64_t>& taken) {
        uint64_t old = taken.load(std::memory_order_relaxed), next;
        do {
            next = old >> 32 == job.number ? old + 1 : uint64_t{job.number} << 32 | 1;
        } while (!taken.compare_exchange_weak(old, next, std::memory_order_relaxed));
        return static_cast<int64_t>((next & 0xffffffffu) - 1);
    };
    for (int64_t i = 0; i < n; i++) {
        const int64_t owner = (thread + i) % n, begin = job.n_items * owner / n, end = job.n_items * (owner + 1) / n;
        while (!is_failing_.load(std::memory_order_relaxed)) {
            const int64_t index = begin + take(runs_[static_cast<size_t>(owner)].taken);
            if (index >= end) break;
            call(job, index, thread);
        }
    }
}

void ThreadPool::run(const Job& job) {
    next_item_.store(0, std::memory_order_relaxed);
    is_failing_.store(false, std::memory_order_relaxed);
    const bool is_shared = !workers_.empty() && job.n_items > 1;
    if (is_shared) {
        job_ = &job;
        n_busy_.store(static_cast<int>(workers_.size()));
        n_posted_.fetch_add(1);
        if (n_asleep_.load() > 0) {
            const std::lock_guard lock(mutex_);
            job_posted_.notify_all();
        }
    }
    take_items(job, 0);
    if (is_shared && !look_out([this] { return n_busy_.load() == 0; })) {
        std::unique_lock lock(mutex_);
        is_caller_asleep_.store(true);
        job_done_.wait(lock, [this] { return n_busy_.load() == 0; });
        is_caller_asleep_.store(false);
    }
    // Every worker has left the job: failure_ is this thread's alone.
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::work(int thread) {
    uint64_t seen = 0;
    const auto is_called = [&] { return is_stopping_.load() || n_posted_.load() != seen; };
    for (;;) {
        if (!look_out(is_called)) {
            std::unique_lock lock(mutex_);
            n_asleep_.fetch_add(1);
            job_posted_.wait(lock, is_called);
            n_asleep_.fetch_sub(1);
        }
        if (is_stopping_.load()) return;
        seen++;
        take_items(*job_, thread);
        if (n_busy_.fetch_sub(1) == 1 && is_caller_asleep_.load()) {
            const std::lock_guard lock(mutex_);
            job_done_.notify_one();
        }
    }
}

}  // namespace ponder
