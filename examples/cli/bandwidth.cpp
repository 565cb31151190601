// SPDX-License-Identifier: Apache-2.0
// Implementation of the read bandwidth probe.
#include "bandwidth.hpp"

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "failure.hpp"
#include "interrupt.hpp"
#include "model.hpp"

namespace ponder::tool {
namespace {

constexpr size_t kMinBytes = size_t{512} << 20;
constexpr size_t kMaxBytes = size_t{4} << 30;
constexpr int kPasses = 8;

size_t buffer_bytes() {
#ifdef _SC_LEVEL3_CACHE_SIZE
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#else
    const long cache = 0;
#endif
    const size_t wanted = 4 * static_cast<size_t>(std::max(cache, 0L));
    const long pages = sysconf(_SC_AVPHYS_PAGES);
    const size_t available = pages > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : kMaxBytes;
    return std::min({std::max(wanted, kMinBytes), kMaxBytes, std::max(available / 2, kMinBytes / 8)});
}

// Several independent sums in vector registers, so that loads and not the adder's latency set the pace. Compiles on any CPU.
typedef uint64_t Lane __attribute__((vector_size(32), aligned(8), may_alias));
constexpr size_t kLaneWords = sizeof(Lane) / sizeof(uint64_t);
constexpr size_t kStepWords = 4 * kLaneWords;
// Places that a thread reads by turns, and how far ahead of itself it asks for more: one place, or hardware alone, reads up to a third
// slower.
constexpr size_t kPlaces = 4, kAheadBytes = 4096, kLineBytes = 64;

uint64_t sum(const uint64_t* words, size_t n) {
    Lane a{}, b{}, c{}, d{};
    const size_t n_of_place = n / kPlaces;
    for (size_t i = 0; i + kStepWords <= n_of_place; i += kStepWords) {
        for (size_t place = 0; place < kPlaces; ++place) {
            const auto* lanes = reinterpret_cast<const Lane*>(words + place * n_of_place + i);
            for (size_t line = 0; line < kStepWords * sizeof(uint64_t); line += kLineBytes)
                __builtin_prefetch(reinterpret_cast<const char*>(lanes) + kAheadBytes + line, 0, 2);
            a += lanes[0];
            b += lanes[1];
            c += lanes[2];
            d += lanes[3];
        }
    }
    a += b + c + d;
    uint64_t total = 0;
    for (size_t i = 0; i < kLaneWords; ++i) total += a[i];
    return total;
}

struct Free {
    void operator()(uint64_t* words) const { std::free(words); }
};
using Words = std::unique_ptr<uint64_t[], Free>;

// In large pages where the system lends them, as weights are.
Words allocate(size_t n_words) {
    constexpr size_t kLargePage = size_t{2} << 20;
    const size_t n_bytes = (n_words * sizeof(uint64_t) + kLargePage - 1) / kLargePage * kLargePage;
    Words words(static_cast<uint64_t*>(std::aligned_alloc(kLargePage, n_bytes)));
    if (words == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    ::madvise(words.get(), n_bytes, MADV_HUGEPAGE);
#endif
    return words;
}

}  // namespace

double measure_read_bandwidth(int n_threads) {
    const auto n = static_cast<size_t>(std::max(n_threads, 1));
    const size_t n_words = buffer_bytes() / sizeof(uint64_t) / n / (kPlaces * kStepWords) * (kPlaces * kStepWords);  // of each thread
    std::vector<Words> slices;
    for (size_t i = 0; i < n; ++i) slices.push_back(allocate(n_words));
    std::barrier pass_starts(static_cast<std::ptrdiff_t>(n));
    std::barrier pass_ends(static_cast<std::ptrdiff_t>(n));
    std::atomic<uint64_t> sink{0};  // keeps the sums alive
    double best_s = 0;

    const auto work = [&](size_t index) {
        uint64_t* const words = slices[index].get();
        std::fill_n(words, n_words, index);  // touched by its own thread first, so that it lies in that thread's memory node
        for (int pass = 0; pass < kPasses; ++pass) {
            pass_starts.arrive_and_wait();
            const Clock::time_point start = Clock::now();
            sink += sum(words, n_words);
            pass_ends.arrive_and_wait();
            const double pass_s = seconds_since(start);
            if (index == 0 && (pass == 0 || pass_s < best_s)) best_s = pass_s;
        }
    };
    std::vector<std::thread> threads;
    try {
        for (size_t i = 1; i < n; ++i) threads.emplace_back(work, i);
    } catch (const std::system_error& error) {
        // The threads that did start wait for all: stand in for the missing ones, at the price of the figure.
        const size_t n_missing = n - 1 - threads.size();
        for (size_t i = 0; i < n_missing; ++i) {
            pass_starts.arrive_and_drop();
            pass_ends.arrive_and_drop();
        }
        work(0);
        for (std::thread& thread : threads) thread.join();
        fail("measuring read bandwidth: %s", error.what());
    }
    work(0);
    for (std::thread& thread : threads) thread.join();
    stop_if_interrupted();
    return best_s > 0 ? static_cast<double>(n * n_words * sizeof(uint64_t)) / best_s : 0;
}

}  // namespace ponder::tool
