// SPDX-License-Identifier: Apache-2.0
// Two threads read ahead; a caller that comes too early reads for itself. Files are read outside of the lock.
#include "runtime/expert_cache.hpp"

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

namespace ponder {

namespace {

constexpr int kReaders = 2;

}  // namespace

Result<std::unique_ptr<ExpertCache>> ExpertCache::create(const std::vector<MappedFile>& files, uint64_t capacity_bytes) {
    std::unique_ptr<ExpertCache> cache(new ExpertCache(files, capacity_bytes));
    try {
        for (int i = 0; i < kReaders; i++) cache->readers_.emplace_back([raw = cache.get()] { raw->work(); });
    } catch (const std::system_error&) {
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "the system refuses a thread for reading experts");
    }
    return cache;
}

ExpertCache::~ExpertCache() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    has_work_.notify_all();
    for (std::thread& reader : readers_) reader.join();
}

ExpertCache::Entry* ExpertCache::find(Matrix matrix) {
    const auto found = entries_.find(matrix.data());
    return found == entries_.end() ? nullptr : found->second.get();
}

ExpertCache::Entry& ExpertCache::add(Matrix matrix) {
    auto& entry = entries_[matrix.data()];
    entry = std::make_unique<Entry>();
    entry->matrix = matrix;
    return *entry;
}

void ExpertCache::forget(Entry& entry) { entries_.erase(entry.matrix.data()); }

const MappedFile* ExpertCache::file_of(Matrix matrix) const {
    const auto found = std::find_if(files_.begin(), files_.end(), [&](const MappedFile& file) { return file.contains(matrix); });
    return found == files_.end() ? nullptr : &*found;
}

// Gives up matrices until n_bytes more may be held. One of just that size is handed on instead of being freed.
bool ExpertCache::make_room(size_t n_bytes, bool may_drop_demanded, MemoryBlock& reusable) {
    for (const bool is_last_resort : {false, true}) {
        if (is_last_resort && !may_drop_demanded) break;
        for (auto it = by_use_.begin(); it != by_use_.end() && held_bytes_ + n_bytes > capacity_;) {
            Entry& entry = **it++;
            if (entry.n_holders > 0 || (entry.is_demanded && !is_last_resort)) continue;
            held_bytes_ -= entry.matrix.size();
            if (entry.matrix.size() == n_bytes) reusable = std::move(entry.memory);
            by_use_.erase(entry.place);
            forget(entry);
        }
    }
    return held_bytes_ + n_bytes <= capacity_;
}

// Leaves the entry ready, or forgotten. There must be room; `memory` may be empty.
Result<void> ExpertCache::read(Entry& entry, MemoryBlock memory, Lock& lock) {
    const Matrix matrix = entry.matrix;
    entry.state = State::kReading;
    held_bytes_ += matrix.size();
    n_reading_++;
    lock.unlock();
    if (memory.bytes().empty()) memory = MemoryBlock(matrix.size());
    Result<void> done;
    const MappedFile* file = file_of(matrix);
    if (memory.bytes().size() != matrix.size()) {
        done = make_error(PONDER_STATUS_OUT_OF_MEMORY, "no memory for an expert's %zu bytes", matrix.size());
    } else if (file == nullptr) {
        done = make_error(PONDER_STATUS_INTERNAL, "an expert lies in no file");
    } else {
        done = file->read_once(static_cast<uint64_t>(matrix.data() - file->bytes().data()), memory.bytes());
    }
    lock.lock();
    n_reading_--;
    if (done) {
        statistics_.bytes_read += matrix.size();
        entry.memory = std::move(memory);
        entry.state = State::kReady;
        entry.place = by_use_.insert(by_use_.end(), &entry);
    } else {
        held_bytes_ -= matrix.size();
        forget(entry);
    }
    has_read_.notify_all();
    return done;
}

Result<ExpertCache::Entry*> ExpertCache::make_ready(Matrix matrix, Lock& lock) {
    for (;;) {
        Entry* entry = find(matrix);
        if (entry != nullptr && entry->state == State::kReady) return entry;
        if (entry == nullptr || entry->state == State::kWaiting) {
            if (entry == nullptr) entry = &add(matrix);
            entry->is_demanded = true;
            entry->is_guess = false;
            MemoryBlock memory;
            if (make_room(matrix.size(), true, memory)) {
                if (auto done = read(*entry, std::move(memory), lock); !done) return done.error();
                continue;
            }
            if (n_reading_ == 0) {
                forget(*entry);
                return make_error(PONDER_STATUS_MEMORY_CAP, "an expert's %zu bytes do not fit beside what is in use of %llu for experts",
                                  matrix.size(), static_cast<unsigned long long>(capacity_));
            }
        }
        // It is being read, or what is being read takes its room for now.
        has_read_.wait(lock);
    }
}

Result<const std::byte*> ExpertCache::acquire(Matrix matrix) {
    Lock lock(mutex_);
    auto ready = make_ready(matrix, lock);
    if (!ready) return ready.error();
    Entry& entry = **ready;
    if (entry.is_guess) statistics_.n_guesses_used++;
    entry.is_guess = entry.is_demanded = false;
    entry.n_holders++;
    by_use_.splice(by_use_.end(), by_use_, entry.place);
    return entry.memory.bytes().data();
}

void ExpertCache::release(Matrix matrix) {
    const std::lock_guard lock(mutex_);
    if (Entry* entry = find(matrix)) entry->n_holders--;
    has_work_.notify_one();
}

void ExpertCache::demand(Matrix matrix) {
    const std::lock_guard lock(mutex_);
    statistics_.n_demanded++;
    Entry* entry = find(matrix);
    if (entry != nullptr && entry->state != State::kWaiting) {
        statistics_.n_hits++;
        entry->is_demanded = true;
        return;
    }
    if (entry == nullptr) entry = &add(matrix);
    entry->is_demanded = true;
    entry->is_guess = false;
    demands_.push_back(matrix.data());
    has_work_.notify_one();
}

void ExpertCache::guess(Matrix matrix) {
    const std::lock_guard lock(mutex_);
    if (Entry* entry = find(matrix)) {
        if (entry->state == State::kReady) by_use_.splice(by_use_.end(), by_use_, entry->place);
        return;
    }
    add(matrix).is_guess = true;
    guesses_.push_back(matrix.data());
    has_work_.notify_one();
}

void ExpertCache::drop_guesses() {
    const std::lock_guard lock(mutex_);
    for (const std::byte* data : guesses_) {
        const auto found = entries_.find(data);
        if (found != entries_.end() && found->second->state == State::kWaiting && found->second->is_guess) entries_.erase(found);
    }
    guesses_.clear();
}

void ExpertCache::drop_requests() {
    const std::lock_guard lock(mutex_);
    for (auto it = entries_.begin(); it != entries_.end();) {
        it->second->is_demanded = false;
        it = it->second->state == State::kWaiting ? entries_.erase(it) : std::next(it);
    }
    demands_.clear();
    guesses_.clear();
}

bool ExpertCache::shrink(uint64_t n_bytes, uint64_t least) {
    Lock lock(mutex_);
    if (capacity_ < n_bytes || capacity_ - n_bytes < least) return false;
    capacity_ -= n_bytes;
    // What is being read can go as soon as it is there; what a run holds goes when the next matrix needs room.
    MemoryBlock unused;
    while (!make_room(0, true, unused) && n_reading_ > 0) has_read_.wait(lock);
    return true;
}

// The next entry that is still to be read; waits for one. Null when the cache ends.
ExpertCache::Entry* ExpertCache::next_to_read(Lock& lock) {
    while (!is_stopping_) {
        for (auto* queue : {&demands_, &guesses_}) {
            while (!queue->empty()) {
                const auto found = entries_.find(queue->front());
                queue->pop_front();
                if (found != entries_.end() && found->second->state == State::kWaiting) return found->second.get();
            }
        }
        has_work_.wait(lock);
    }
    return nullptr;
}

void ExpertCache::work() {
    Lock lock(mutex_);
    while (Entry* entry = next_to_read(lock)) {
        const bool is_guess = entry->is_guess;
        MemoryBlock memory;
        if (make_room(entry->matrix.size(), false, memory)) {
            if (read(*entry, std::move(memory), lock) && is_guess) statistics_.n_guessed++;
        } else if (entry->is_demanded) {
            // All that is kept is needed before it: what is used and released makes room for it, if nobody has read it by then.
            demands_.push_front(entry->matrix.data());
            has_work_.wait(lock);
        } else {
            forget(*entry);
        }
    }
}

ExpertCacheStatistics ExpertCache::statistics() const {
    const std::lock_guard lock(mutex_);
    ExpertCacheStatistics now = statistics_;
    now.capacity_bytes = capacity_;
    now.held_bytes = held_bytes_;
    return now;
}

}  // namespace ponder
