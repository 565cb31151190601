// SPDX-License-Identifier: Apache-2.0
// Index ranges shared by threads: each index once, and exceptions that come out on the calling thread.
#include <doctest/doctest.h>

#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include "base/thread_pool.hpp"

using ponder::ThreadPool;

namespace {

// Both kinds of jobs.
template <class Body>
void run(ThreadPool& pool, bool in_runs, int64_t n_items, const Body& body) {
    if (in_runs)
        pool.parallel_for_runs(n_items, body);
    else
        pool.parallel_for(n_items, body);
}

}  // namespace

TEST_CASE("thread_pool: every index once, on threads that do not overlap") {
    for (const int n_threads : {1, 2, 7}) {
        const auto pool = ThreadPool::create(n_threads);
        REQUIRE(pool);
        for (const int64_t n_items : {0, 1, 2, 6, 1000}) {
            for (const bool in_runs : {false, true}) {
                std::vector<std::atomic<int>> seen(static_cast<size_t>(n_items));
                std::vector<std::atomic<int>> inside(static_cast<size_t>(n_threads));
                std::atomic<bool> overlaps{false};
                run(**pool, in_runs, n_items, [&](int64_t index, int thread) {
                    auto& n_inside = inside[static_cast<size_t>(thread)];
                    if (n_inside.fetch_add(1) != 0) overlaps = true;
                    seen[static_cast<size_t>(index)]++;
                    n_inside--;
                });
                for (const auto& n : seen) CHECK(n == 1);
                CHECK(!overlaps);
            }
        }
    }
}

TEST_CASE("thread_pool: what a body throws arrives at the caller, and the pool goes on") {
    for (const int n_threads : {1, 2, 7}) {
        const auto pool = ThreadPool::create(n_threads);
        REQUIRE(pool);
        for (const int64_t thrower : {0, 1, 500, 999}) {
            for (const bool in_runs : {false, true}) {
                const auto fail = [&] {
                    run(**pool, in_runs, 1000, [&](int64_t index, int) {
                        if (index >= thrower) throw std::bad_alloc();
                    });
                };
                CHECK_THROWS_AS(fail(), std::bad_alloc);
                std::atomic<int> n{0};
                run(**pool, in_runs, 1000, [&](int64_t, int) { n++; });
                CHECK(n == 1000);
            }
        }
    }
}

TEST_CASE("thread_pool: a thread takes neighbours in order, and what another leaves") {
    const auto pool = ThreadPool::create(2);
    REQUIRE(pool);
    constexpr int64_t kItems = 100;
    for (int repetition = 0; repetition < 50; repetition++) {
        std::vector<int> owners(kItems, -1);
        std::vector<int64_t> order[2];
        std::atomic<int64_t> n_done{0};
        (*pool)->parallel_for_runs(kItems, [&](int64_t index, int thread) {
            owners[static_cast<size_t>(index)] = thread;
            order[thread].push_back(index);
            // The other thread has to finish what this one does not get to.
            if (index == 0) {
                while (n_done < kItems - 1) std::this_thread::yield();
            }
            n_done++;
        });
        CHECK(order[static_cast<size_t>(owners[0])].back() == 0);
        const auto& other = order[static_cast<size_t>(1 - owners[0])];
        REQUIRE(other.size() >= kItems - 51);
        for (size_t i = 1; i < other.size(); i++) CHECK((other[i] == other[i - 1] + 1 || other[i] < 50));
    }
}
