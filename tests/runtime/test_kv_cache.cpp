// SPDX-License-Identifier: Apache-2.0
// Cache pages: sharing, copy on write, memory caps.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>

#include "runtime/kv_cache.hpp"

using namespace ponder;

namespace {

struct Fixture {
    explicit Fixture(uint64_t cap = 0) : budget(cap) {
        auto opened = Device::open(*find_device(0), 1);
        REQUIRE(opened);
        device = std::move(*opened);
        pool = std::make_shared<KvPool>(*device, budget, kPageBytes, 4);
    }
    static constexpr uint64_t kPageBytes = 16 << 20;  // each an arena of its own
    std::unique_ptr<Device> device;
    MemoryBudget budget;
    std::shared_ptr<KvPool> pool;
};

}  // namespace

TEST_CASE("kv_cache: pages are taken as tokens arrive and come back") {
    Fixture f;
    KvSequence sequence(f.pool);
    REQUIRE(sequence.extend(3));
    CHECK(sequence.pages().size() == 1);
    REQUIRE(sequence.extend(2));
    CHECK(sequence.pages().size() == 2);
    const int32_t second = sequence.pages()[1];
    sequence.truncate(4);
    CHECK(sequence.pages().size() == 1);
    REQUIRE(sequence.extend(1));
    CHECK(sequence.pages()[1] == second);
}

TEST_CASE("kv_cache: a fork shares full pages and copies the one that it writes") {
    Fixture f;
    KvSequence sequence(f.pool);
    REQUIRE(sequence.extend(6));
    const auto fork = sequence.fork();
    CHECK(fork->pages() == sequence.pages());
    REQUIRE(fork->extend(1));
    CHECK(fork->pages()[0] == sequence.pages()[0]);
    CHECK(fork->pages()[1] != sequence.pages()[1]);
    REQUIRE(sequence.extend(1));  // now the only owner: no copy
    CHECK(sequence.pages().size() == 2);

    // A truncated fork that writes into the middle of a shared page copies it too.
    const auto other = sequence.fork();
    other->truncate(2);
    REQUIRE(other->extend(1));
    CHECK(other->pages()[0] != sequence.pages()[0]);
}

TEST_CASE("kv_cache: a memory cap is kept, and what was there stays") {
    Fixture f(3 * Fixture::kPageBytes);
    KvSequence sequence(f.pool);
    REQUIRE(sequence.extend(8));
    const auto grown = sequence.extend(4 * 100);
    REQUIRE(!grown);
    CHECK(grown.error().status == PONDER_STATUS_MEMORY_CAP);
    CHECK(sequence.n_tokens() == 8);
    CHECK(sequence.pages().size() == 2);
    CHECK(f.budget.used() <= 3 * Fixture::kPageBytes);
    CHECK(sequence.extend(4));
}

TEST_CASE("kv_cache: small pages share an arena of a megabyte, large ones fill large pages of the system") {
    CHECK(KvPool::pages_in_arena(0) == 1'024);
    CHECK(KvPool::pages_in_arena(1'000) == 1'024);
    CHECK(KvPool::pages_in_arena(100'000) == 10);
    CHECK(KvPool::pages_in_arena(1'835'008) == 5);
    CHECK(KvPool::pages_in_arena(20'000'000) == 1);
}
