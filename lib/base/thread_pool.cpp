// SPDX-License-Identifier: Apache-2.0
// Worker threads that sleep between jobs and draw indices from one atomic counter within a job.
#include "base/thread_pool.hpp"

#include <sched.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace ponder {

int available_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int n_threads) {
    std::unique_ptr<ThreadPool> pool(new ThreadPool);
    try {
        for (int i = 1; i < n_threads; i++) pool->workers_.emplace_back([p = pool.get(), i] { p->work(i); });
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
        is_stopping_ = true;
    }
    job_posted_.notify_all();
    for (auto& worker : workers_) worker.join();
    workers_.clear();
}

void ThreadPool::take_items(const Job& job, int thread) {
    for (;;) {
        const int64_t index = next_item_.fetch_add(1, std::memory_order_relaxed);
        if (index >= job.n_items) return;
        try {
            job.call(job.context, index, thread);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (failure_ == nullptr) failure_ = std::current_exception();
            next_item_.store(job.n_items, std::memory_order_relaxed);
        }
    }
}

void ThreadPool::run(const Job& job) {
    next_item_.store(0, std::memory_order_relaxed);
    if (!workers_.empty() && job.n_items > 1) {
        const std::lock_guard lock(mutex_);
        job_ = &job;
        generation_++;
        n_busy_ = static_cast<int>(workers_.size());
        job_posted_.notify_all();
    }
    take_items(job, 0);
    std::unique_lock lock(mutex_);
    job_done_.wait(lock, [this] { return n_busy_ == 0; });
    job_ = nullptr;
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::work(int thread) {
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
        job_posted_.wait(lock, [&] { return is_stopping_ || generation_ != seen; });
        if (is_stopping_) return;
        seen = generation_;
        const Job& job = *job_;
        lock.unlock();
        take_items(job, thread);
        lock.lock();
        if (--n_busy_ == 0) job_done_.notify_one();
    }
}

}  // namespace ponder
