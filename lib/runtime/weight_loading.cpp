// SPDX-License-Identifier: Apache-2.0
// Pages of 4 KiB cost more of a processor's address translation than its memory has to spare: weights that the system's file cache holds
// in such pages are read some 20 % slower than in large ones (Zen 4 in a virtual machine).
#include "runtime/weight_loading.hpp"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/host_memory.hpp"
#include "base/large_pages.hpp"
#include "base/log.hpp"
#include "base/thread_pool.hpp"

namespace ponder {

namespace {

using Range = std::span<const std::byte>;

// Between two looks at whether to go on, and read by one thread at a time.
constexpr size_t kPieceBytes = 8u << 20, kSliceBytes = 1u << 20;
// Pieces are larger where there would be more of them: each is a mapping, of which a process has 65,530.
constexpr uint64_t kMostPieces = 2048;
// Ranges that are no further apart are one: alignment leaves gaps.
constexpr ptrdiff_t kGapBytes = 64 << 10;
// Below this, nothing is won that anybody would notice.
constexpr uint64_t kFewestBytes = 64u << 20;
// Memory that must be available for copies that nobody asked for, in sizes of what is to be copied: before the first, and before the
// others.
constexpr uint64_t kTimesAtFirst = 4, kTimesLater = 2;
// How much longer the copier rests than it computed for a piece: where new memory is dear, as in some virtual machines, whoever computes
// should not notice.
constexpr int kRests = 5;
constexpr int kMostThreads = 8, kNiceness = 5, kMostNiceness = 19;

struct FileRange {
    const MappedFile* file;
    Range bytes;
};

// Neighbours joined, by file and place.
std::vector<FileRange> join_ranges(std::span<const MappedFile> files, std::span<const Range> weights) {
    const auto end_of = [](const Range& range) { return range.data() + range.size(); };
    std::vector<FileRange> joined;
    for (const MappedFile& file : files) {
        std::vector<Range> own;
        for (const Range& range : weights) {
            if (!range.empty() && file.contains(range)) own.push_back(range);
        }
        std::sort(own.begin(), own.end(), [](const Range& a, const Range& b) { return a.data() < b.data(); });
        const size_t n_before = joined.size();
        for (const Range& range : own) {
            if (joined.size() == n_before || range.data() - end_of(joined.back().bytes) > kGapBytes) {
                joined.push_back({&file, range});
                continue;
            }
            Range& last = joined.back().bytes;
            last = {last.data(), std::max(end_of(last), end_of(range))};
        }
    }
    return joined;
}

uint64_t sum_bytes(std::span<const FileRange> ranges) {
    uint64_t total = 0;
    for (const FileRange& range : ranges) total += range.bytes.size();
    return total;
}

// Bytes of a piece that is copied.
uint64_t copied_piece(std::span<const FileRange> ranges) { return std::max<uint64_t>(kPieceBytes, sum_bytes(ranges) / kMostPieces); }

// Calls work(file, piece) for all of the ranges, cut where large pages begin; an error ends it.
template <class Work>
Result<void> in_pieces(std::span<const FileRange> ranges, uint64_t piece_bytes, const Work& work) {
    const uint64_t align = std::max<uint64_t>(large_page_size(), 1), size = (piece_bytes + align - 1) / align * align;
    for (const FileRange& range : ranges) {
        for (Range rest = range.bytes; !rest.empty();) {
            const uint64_t to_boundary = size - reinterpret_cast<uintptr_t>(rest.data()) % size;
            const Range piece = rest.first(static_cast<size_t>(std::min<uint64_t>(rest.size(), to_boundary)));
            if (auto done = work(*range.file, piece); !done) return done;
            rest = rest.subspan(piece.size());
        }
    }
    return {};
}

}  // namespace

Result<void> load_weights(std::span<const MappedFile> files, std::span<const Range> weights, bool copies, int n_threads,
                          const std::function<bool(double)>& report) {
    for (const MappedFile& file : files) prefer_large_pages(file.bytes());
    const auto ranges = join_ranges(files, weights);
    const uint64_t total = sum_bytes(ranges);
    if (total == 0) return {};
    if (const uint64_t available = copies ? memory_available() : total; available < total) {
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "weights of %llu bytes cannot be copied: %llu bytes are available",
                          static_cast<unsigned long long>(total), static_cast<unsigned long long>(available));
    }
    auto pool = ThreadPool::create(copies ? std::clamp(n_threads, 1, kMostThreads) : 1);
    if (!pool) return pool.error();
    // All threads, a slice each.
    const auto read = [&](const MappedFile& file, std::span<std::byte> dst, uint64_t offset) -> Result<void> {
        const size_t n_slices = (dst.size() + kSliceBytes - 1) / kSliceBytes;
        std::vector<Result<void>> results(n_slices);
        (*pool)->parallel_for(static_cast<int64_t>(n_slices), [&](int64_t i, int) {
            const size_t first = static_cast<size_t>(i) * kSliceBytes;
            results[static_cast<size_t>(i)] = file.read(offset + first, dst.subspan(first, std::min(kSliceBytes, dst.size() - first)));
        });
        const auto failed = std::find_if(results.begin(), results.end(), [](const auto& result) { return !result; });
        return failed == results.end() ? Result<void>() : *failed;
    };
    uint64_t done = 0;
    return in_pieces(ranges, copies ? copied_piece(ranges) : kPieceBytes, [&](const MappedFile& file, Range piece) -> Result<void> {
        if (copies) {
            const auto fill = [&](std::span<std::byte> dst, uint64_t offset) { return read(file, dst, offset); };
            if (auto owned = file.own(piece, fill); !owned) return owned;
        } else {
            touch_pages(piece);
        }
        done += piece.size();
        const bool stops = report(static_cast<double>(done) / static_cast<double>(total));
        return stops ? Result<void>(make_error(PONDER_STATUS_CANCELLED, "opening was cancelled")) : Result<void>();
    });
}

std::unique_ptr<WeightCopier> WeightCopier::start(std::span<const MappedFile> files, std::span<const Range> weights) {
    const uint64_t total = sum_bytes(join_ranges(files, weights));
    // Where all pages are larger than the usual, there is less to gain.
    if (total < kFewestBytes || large_page_size() == 0 || sysconf(_SC_PAGESIZE) > 4096) return nullptr;
    if (memory_available() / kTimesAtFirst < total) return nullptr;
    const auto is_wanted = [files, total] {
        uint64_t in_large_pages = 0;
        for (const MappedFile& file : files) in_large_pages += bytes_in_large_pages(file.bytes());
        return in_large_pages < total / 2;
    };
    return std::make_unique<WeightCopier>(files, weights, is_wanted);
}

WeightCopier::WeightCopier(std::span<const MappedFile> files, std::span<const Range> weights, std::function<bool()> is_wanted)
    : files_(files), weights_(weights.begin(), weights.end()), is_wanted_(std::move(is_wanted)) {
    try {
        thread_ = std::thread([this] {
            run();
            is_done_.store(true);
        });
    } catch (const std::system_error&) {
        is_done_.store(true);  // mapped weights serve as well
    }
}

WeightCopier::~WeightCopier() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_.store(true);
    }
    stopped_.notify_all();
    if (thread_.joinable()) thread_.join();
}

namespace {

// What the calling thread has computed.
std::chrono::nanoseconds time_of_thread() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

void WeightCopier::run() try {
    // Linux takes 0 for the thread.
    ::setpriority(PRIO_PROCESS, 0, std::min(kMostNiceness, ::getpriority(PRIO_PROCESS, 0) + kNiceness));
    if (is_wanted_()) {
        const auto ranges = join_ranges(files_, weights_);
        uint64_t left = sum_bytes(ranges);
        const auto done = in_pieces(ranges, copied_piece(ranges), [&](const MappedFile& file, Range piece) -> Result<void> {
            if (is_stopping_.load()) return make_error(PONDER_STATUS_CANCELLED, "the model is closed");
            if (memory_available() / kTimesLater < left) return make_error(PONDER_STATUS_OUT_OF_MEMORY, "memory has become short");
            const auto begin = time_of_thread();
            auto owned = file.own(piece, [&](std::span<std::byte> dst, uint64_t offset) { return file.read(offset, dst); });
            if (!owned) return owned;
            left -= piece.size();
            copied_bytes_ += piece.size();
            std::unique_lock lock(mutex_);
            stopped_.wait_for(lock, kRests * (time_of_thread() - begin), [this] { return is_stopping_.load(); });
            return owned;
        });
        if (is_stopping_.load()) return;  // whoever waits for this thread may hold what a log sink wants
        const auto copied = static_cast<unsigned long long>(copied_bytes_.load());
        log_message(PONDER_LOG_INFO, "%llu of %llu bytes of weights were copied to large pages%s%s", copied,
                    copied + static_cast<unsigned long long>(left), done ? "" : ": ", done ? "" : done.error().message.c_str());
    }
} catch (const std::bad_alloc&) {
    // What is mapped stays so.
}

}  // namespace ponder
