// SPDX-License-Identifier: Apache-2.0
// The cache of keys and values: pages of a fixed number of tokens, counted, shared between forked sequences until one writes.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "device/device.hpp"
#include "runtime/memory_budget.hpp"

namespace ponder {

// What a device has of every page: page_tokens tokens of its own layers; 0: none.
struct KvShare {
    const Device* device = nullptr;
    uint64_t page_bytes = 0;
};

// Pages of all sequences of one model and cache type, each in all shares at the same number. Thread-safe.
class KvPool {
  public:
    KvPool(const Device& device, MemoryBudget& budget, uint64_t page_bytes, int32_t page_tokens)
        : KvPool({{&device, page_bytes}}, budget, page_tokens) {}
    KvPool(std::vector<KvShare> shares, MemoryBudget& budget, int32_t page_tokens);
    ~KvPool();

    // An arena is one buffer a share: large enough that a long context takes few of them, small enough that a short one wastes little.
    static uint64_t pages_in_arena(uint64_t page_bytes);

    int32_t page_tokens() const { return page_tokens_; }
    uint64_t page_bytes() const { return page_bytes_; }
    int32_t pages_per_arena() const { return pages_per_arena_; }

    // A page with one reference. Errors: MEMORY_CAP, OUT_OF_MEMORY.
    Result<int32_t> take();
    void add_reference(int32_t page);
    void release(int32_t page);
    bool is_shared(int32_t page) const;
    Result<void> copy(int32_t dst, int32_t src) const;
    // A share's arena p / pages_per_arena of every page taken so far.
    void list_arenas(std::vector<ponder_buffer*>& out, size_t share = 0) const;

  private:
    const std::vector<KvShare> shares_;
    MemoryBudget& budget_;
    const uint64_t page_bytes_;  // of all shares
    const int32_t page_tokens_;
    const int32_t pages_per_arena_;
    mutable std::mutex mutex_;
    std::vector<std::vector<Buffer>> arenas_;  // [arenas][shares]
    std::vector<int32_t> references_;          // [pages]
    std::vector<int32_t> free_;
};

// The cached tokens of one session. Not thread-safe.
class KvSequence {
  public:
    explicit KvSequence(std::shared_ptr<KvPool> pool) : pool_(std::move(pool)) {}
    ~KvSequence() { truncate(0); }
    KvSequence(const KvSequence&) = delete;
    KvSequence& operator=(const KvSequence&) = delete;

    // A second sequence over the same pages.
    std::unique_ptr<KvSequence> fork() const;

    int64_t n_tokens() const { return n_tokens_; }
    const std::vector<int32_t>& pages() const { return pages_; }
    uint64_t n_bytes() const { return pages_.size() * pool_->page_bytes(); }

    // Makes room for n more tokens in pages that nobody else reads, and counts them as present. On an error nothing has changed.
    Result<void> extend(int64_t n);
    // Forgets tokens after the first n_keep.
    void truncate(int64_t n_keep);

  private:
    Result<void> make_last_page_own();

    std::shared_ptr<KvPool> pool_;
    std::vector<int32_t> pages_;
    int64_t n_tokens_ = 0;
};

}  // namespace ponder
