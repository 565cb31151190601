// SPDX-License-Identifier: Apache-2.0
// Page allocation in arenas, reference counts, copy on write.
#include "runtime/kv_cache.hpp"

#include <algorithm>
#include <utility>

namespace ponder {

namespace {

constexpr uint64_t kArenaBytes = 1u << 20;
constexpr uint64_t kMaxPagesPerArena = 1'024;
// Pages of at least so many bytes are gathered to more than kLargeArenaBytes, most of which then lies in large pages of the system.
constexpr uint64_t kLargePageBytes = kArenaBytes / 4, kLargeArenaBytes = 8 * kArenaBytes;
constexpr size_t kFewestPages = 16;  // that a sequence has room to list

uint64_t sum_bytes(const std::vector<KvShare>& shares) {
    uint64_t total = 0;
    for (const KvShare& share : shares) total += share.page_bytes;
    return total;
}

}  // namespace

uint64_t KvPool::pages_in_arena(uint64_t page_bytes) {
    if (page_bytes >= kLargePageBytes) return kLargeArenaBytes / page_bytes + 1;
    return std::min(kArenaBytes / std::max<uint64_t>(1, page_bytes), kMaxPagesPerArena);
}

KvPool::KvPool(std::vector<KvShare> shares, MemoryBudget& budget, int32_t page_tokens)
    : shares_(std::move(shares)),
      budget_(budget),
      page_bytes_(sum_bytes(shares_)),
      page_tokens_(page_tokens),
      pages_per_arena_(static_cast<int32_t>(pages_in_arena(page_bytes_))) {}

KvPool::~KvPool() { budget_.give_back(arenas_.size() * static_cast<uint64_t>(pages_per_arena_) * page_bytes_); }

Result<int32_t> KvPool::take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
        const uint64_t n_bytes = static_cast<uint64_t>(pages_per_arena_) * page_bytes_;
        const size_t n_pages = references_.size() + static_cast<size_t>(pages_per_arena_);
        // Whatever throws leaves the pool as it was.
        arenas_.reserve(arenas_.size() + 1);
        references_.reserve(n_pages);
        free_.reserve(n_pages);
        if (auto taken = budget_.take(n_bytes, "the key-value cache"); !taken) return taken.error();
        struct Refund {
            MemoryBudget& budget;
            uint64_t n_bytes;
            ~Refund() { budget.give_back(n_bytes); }
        } refund{budget_, n_bytes};
        std::vector<Buffer> arena(shares_.size());
        for (size_t s = 0; s < shares_.size(); s++) {
            if (shares_[s].page_bytes == 0) continue;
            auto buffer = shares_[s].device->allocate(static_cast<uint64_t>(pages_per_arena_) * shares_[s].page_bytes);
            if (!buffer) return buffer.error();
            arena[s] = std::move(*buffer);
        }
        refund.n_bytes = 0;
        const auto first = static_cast<int32_t>(references_.size());
        references_.resize(n_pages, 0);
        arenas_.push_back(std::move(arena));
        for (int32_t i = pages_per_arena_ - 1; i >= 0; i--) free_.push_back(first + i);
    }
    const int32_t page = free_.back();
    free_.pop_back();
    references_[static_cast<size_t>(page)] = 1;
    return page;
}

void KvPool::add_reference(int32_t page) {
    const std::lock_guard lock(mutex_);
    references_[static_cast<size_t>(page)]++;
}

void KvPool::release(int32_t page) {
    const std::lock_guard lock(mutex_);
    if (--references_[static_cast<size_t>(page)] == 0) free_.push_back(page);
}

bool KvPool::is_shared(int32_t page) const {
    const std::lock_guard lock(mutex_);
    return references_[static_cast<size_t>(page)] > 1;
}

Result<void> KvPool::copy(int32_t dst, int32_t src) const {
    const auto place = [this](int32_t page) { return static_cast<uint64_t>(page % pages_per_arena_); };
    const std::lock_guard lock(mutex_);
    const auto& to = arenas_[static_cast<size_t>(dst / pages_per_arena_)];
    const auto& from = arenas_[static_cast<size_t>(src / pages_per_arena_)];
    for (size_t s = 0; s < shares_.size(); s++) {
        const uint64_t n_bytes = shares_[s].page_bytes;
        if (n_bytes == 0) continue;
        if (auto done = shares_[s].device->copy(to[s], place(dst) * n_bytes, from[s], place(src) * n_bytes, n_bytes); !done) return done;
    }
    return {};
}

void KvPool::list_arenas(std::vector<ponder_buffer*>& out, size_t share) const {
    out.clear();
    if (shares_[share].page_bytes == 0) return;
    const std::lock_guard lock(mutex_);
    for (const auto& arena : arenas_) out.push_back(arena[share].get());
}

std::unique_ptr<KvSequence> KvSequence::fork() const {
    auto copy = std::make_unique<KvSequence>(pool_);
    copy->pages_ = pages_;
    copy->n_tokens_ = n_tokens_;
    for (const int32_t page : pages_) pool_->add_reference(page);
    return copy;
}

Result<void> KvSequence::make_last_page_own() {
    if (n_tokens_ % pool_->page_tokens() == 0 || !pool_->is_shared(pages_.back())) return {};
    const auto page = pool_->take();
    if (!page) return page.error();
    if (auto copied = pool_->copy(*page, pages_.back()); !copied) {
        pool_->release(*page);
        return copied.error();
    }
    pool_->release(std::exchange(pages_.back(), *page));
    return {};
}

Result<void> KvSequence::extend(int64_t n) {
    if (auto own = make_last_page_own(); !own) return own.error();
    const auto needed = static_cast<size_t>((n_tokens_ + n + pool_->page_tokens() - 1) / pool_->page_tokens());
    const size_t before = pages_.size();
    // Doubled, because decoding comes with one token at a time.
    if (needed > pages_.capacity()) pages_.reserve(std::max({needed, 2 * pages_.capacity(), kFewestPages}));
    while (pages_.size() < needed) {
        const auto page = pool_->take();
        if (!page) {
            for (; pages_.size() > before; pages_.pop_back()) pool_->release(pages_.back());
            return page.error();
        }
        pages_.push_back(*page);
    }
    n_tokens_ += n;
    return {};
}

void KvSequence::truncate(int64_t n_keep) {
    n_tokens_ = std::min(n_tokens_, n_keep);
    const auto needed = static_cast<size_t>((n_tokens_ + pool_->page_tokens() - 1) / pool_->page_tokens());
    for (; pages_.size() > needed; pages_.pop_back()) pool_->release(pages_.back());
}

}  // namespace ponder
