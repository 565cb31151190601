// SPDX-License-Identifier: Apache-2.0
// Index ranges shared by threads: each index once, and exceptions that come out on the calling thread.
#include <doctest/doctest.h>

#include <atomic>
#include <new>
#include <vector>

#include "base/thread_pool.hpp"

using ponder::ThreadPool;

TEST_CASE("thread_pool: every index once, on threads that do not overlap") {
    for (const int n_threads : {1, 2, 7}) {
        const auto pool = ThreadPool::create(n_threads);
        REQUIRE(pool);
        for (const int64_t n_items : {0, 1, 2, 1000}) {
            std::vector<std::atomic<int>> seen(static_cast<size_t>(n_items));
            std::vector<std::atomic<int>> inside(static_cast<size_t>(n_threads));
            std::atomic<bool> overlaps{false};
            (*pool)->parallel_for(n_items, [&](int64_t index, int thread) {
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

TEST_CASE("thread_pool: what a body throws arrives at the caller, and the pool goes on") {
    for (const int n_threads : {1, 2, 7}) {
        const auto pool = ThreadPool::create(n_threads);
        REQUIRE(pool);
        for (const int64_t thrower : {0, 1, 500, 999}) {
            const auto run = [&] {
                (*pool)->parallel_for(1000, [&](int64_t index, int) {
                    if (index >= thrower) throw std::bad_alloc();
                });
            };
            CHECK_THROWS_AS(run(), std::bad_alloc);
            std::atomic<int> n{0};
            (*pool)->parallel_for(1000, [&](int64_t, int) { n++; });
            CHECK(n == 1000);
        }
    }
}
