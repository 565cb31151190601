// SPDX-License-Identifier: Apache-2.0
// Weights that do not fit into memory: read from their files when they are asked for, kept as long as there is room, the least recently
// used given up first.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/host_memory.hpp"
#include "base/mapped_file.hpp"
#include "base/result.hpp"

namespace ponder {

struct ExpertCacheStatistics {
    uint64_t capacity_bytes = 0, held_bytes = 0;
    int64_t n_demanded = 0;  // matrices that a layer needed
    int64_t n_hits = 0;      // of those: in memory, or being read, before the layer asked
    int64_t n_guessed = 0;   // matrices that were read because a layer before guessed them
    int64_t n_guesses_used = 0;
    uint64_t bytes_read = 0;
};

// A matrix is named by where it lies in a mapped file; the mapping itself is not read. Thread-safe.
class ExpertCache {
  public:
    // The files must outlive the cache. Errors: OUT_OF_MEMORY if the system refuses a thread.
    static Result<std::unique_ptr<ExpertCache>> create(const std::vector<MappedFile>& files, uint64_t capacity_bytes);
    ~ExpertCache();
    ExpertCache(const ExpertCache&) = delete;
    ExpertCache& operator=(const ExpertCache&) = delete;

    using Matrix = std::span<const std::byte>;

    // The matrix in memory, to stay until `release`. Errors: IO, OUT_OF_MEMORY, MEMORY_CAP (what is held leaves no room).
    Result<const std::byte*> acquire(Matrix matrix);
    void release(Matrix matrix);
    // Reads the matrix in the background: soon, as it will be acquired, or when nothing else is to be read, as a guess.
    void demand(Matrix matrix);
    void guess(Matrix matrix);
    // What was guessed is now certain or wrong: guesses that no thread has begun to read are dropped.
    void drop_guesses();
    // Whoever asked is gone: what no thread has begun to read is dropped, and nothing is kept for having been demanded.
    void drop_requests();
    // Leaves room for n_bytes less, and gives up what no longer fits. False, and nothing changed, if less than `least` would be left.
    bool shrink(uint64_t n_bytes, uint64_t least);

    ExpertCacheStatistics statistics() const;

  private:
    enum class State { kWaiting, kReading, kReady };
    struct Entry {
        Matrix matrix;
        MemoryBlock memory;
        State state = State::kWaiting;
        int n_holders = 0;
        bool is_demanded = false;           // between demand and acquire
        bool is_guess = false;              // read as a guess and not used yet
        std::list<Entry*>::iterator place;  // in by_use_, if ready
    };
    using Lock = std::unique_lock<std::mutex>;

    ExpertCache(const std::vector<MappedFile>& files, uint64_t capacity_bytes) : files_(files), capacity_(capacity_bytes) {}
    void work();
    Entry* find(Matrix matrix);
    Entry& add(Matrix matrix);
    void forget(Entry& entry);
    Entry* next_to_read(Lock& lock);
    bool make_room(size_t n_bytes, bool may_drop_demanded, MemoryBlock& reusable);
    Result<void> read(Entry& entry, MemoryBlock memory, Lock& lock);
    Result<Entry*> make_ready(Matrix matrix, Lock& lock);
    const MappedFile* file_of(Matrix matrix) const;

    const std::vector<MappedFile>& files_;
    mutable std::mutex mutex_;
    uint64_t capacity_;
    std::condition_variable has_work_, has_read_;
    std::unordered_map<const std::byte*, std::unique_ptr<Entry>> entries_;
    std::list<Entry*> by_use_;                        // ready ones, the least recently used first
    std::deque<const std::byte*> demands_, guesses_;  // to be read; may name entries that are gone
    uint64_t held_bytes_ = 0;
    int n_reading_ = 0;
    ExpertCacheStatistics statistics_;
    bool is_stopping_ = false;
    std::vector<std::thread> readers_;
};

}  // namespace ponder
