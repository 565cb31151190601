// SPDX-License-Identifier: Apache-2.0
// A fixed set of worker threads that share index ranges with the calling thread. Jobs follow one another within microseconds while a model
// computes, so both sides look out for the other for a moment before they sleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.hpp"

namespace ponder {

// Threads that this process should compute with, at least 1: one for each of cores_for_work(its affinity mask), and no more than the
// processor time that its control groups allow, rounded up.
int available_cores();

class ThreadPool {
  public:
    // n_threads counts the calling thread; 1 starts no worker. Errors: OUT_OF_MEMORY if the system refuses a thread.
    static Result<std::unique_ptr<ThreadPool>> create(int n_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int n_threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Calls body(index, thread) once for every index of [0, n_items), in no fixed order, on up to n_threads threads, and returns when all
    // are done. `thread` is in [0, n_threads) and no two running calls share one. What body throws ends the job and is thrown here, after
    // all threads have left it. One caller at a time.
    template <class Body>
    void parallel_for(int64_t n_items, Body&& body) {
        run(job_of(n_items, body));
    }

    // The same, with neighbouring indices one after the other on one thread as far as that keeps none waiting: for work that reads memory
    // in order. n_items < 2^32.
    template <class Body>
    void parallel_for_runs(int64_t n_items, Body&& body) {
        Job job = job_of(n_items, body);
        job.number = n_jobs_of_runs_ += n_jobs_of_runs_ == UINT32_MAX ? 2 : 1;
        run(job);
    }

  private:
    struct Job {
        int64_t n_items;
        void (*call)(void* context, int64_t index, int thread);
        void* context;
        uint32_t number = 0;  // of a job of runs; 0: of another
    };
    // How many indices of a thread's run are taken, below the number of the job that they are of.
    struct alignas(64) Run {
        std::atomic<uint64_t> taken{0};
    };

    template <class Body>
    static Job job_of(int64_t n_items, Body& body) {
        return {n_items, [](void* context, int64_t index, int thread) { (*static_cast<Body*>(context))(index, thread); },
                const_cast<void*>(static_cast<const void*>(&body))};
    }

    ThreadPool() = default;
    void run(const Job& job);
    void work(int thread);
    void take_items(const Job& job, int thread);
    void take_runs(const Job& job, int thread);
    void call(const Job& job, int64_t index, int thread);
    void stop();

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable job_posted_, job_done_;
    const Job* job_ = nullptr;
    std::exception_ptr failure_;  // the first that the job threw
    std::atomic<int64_t> next_item_{0};
    std::vector<Run> runs_;  // one a thread
    uint32_t n_jobs_of_runs_ = 0;
    std::atomic<bool> is_failing_{false};
    std::atomic<uint64_t> n_posted_{0};  // counts jobs, so that a worker takes each once
    std::atomic<int> n_busy_{0};         // workers that have not left the job
    std::atomic<int> n_asleep_{0};       // workers that must be woken
    std::atomic<bool> is_caller_asleep_{false}, is_stopping_{false};
};

}  // namespace ponder
