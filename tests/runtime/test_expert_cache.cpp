// SPDX-License-Identifier: Apache-2.0
// The cache of streamed matrices: what it reads and does not read again, what it gives up, what it keeps, several threads at once.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "runtime/expert_cache.hpp"
#include "temp_file.hpp"

using namespace ponder;

namespace {

constexpr size_t kSize = 10'000;  // bytes of a matrix: no whole number of pages
constexpr int kMatrices = 16;

std::byte byte_of(size_t i) { return static_cast<std::byte>(i * 2654435761u >> 13); }

// A file of kMatrices matrices and a cache with room for `n_kept` of them.
struct Fixture {
    explicit Fixture(size_t n_kept) : file("experts.bin") {
        std::vector<std::byte> content(kSize * kMatrices);
        for (size_t i = 0; i < content.size(); i++) content[i] = byte_of(i);
        file.write(content.data(), content.size());
        auto mapped = MappedFile::open(file.path());
        REQUIRE(mapped);
        files.push_back(std::move(*mapped));
        auto made = ExpertCache::create(files, n_kept * kSize);
        REQUIRE(made);
        cache = std::move(*made);
    }

    ExpertCache::Matrix matrix(int i) const { return files[0].bytes().subspan(static_cast<size_t>(i) * kSize, kSize); }

    static bool is_right(int i, const std::byte* data) {
        for (size_t b = 0; b < kSize; b++) {
            if (data[b] != byte_of(static_cast<size_t>(i) * kSize + b)) return false;
        }
        return true;
    }

    const std::byte* acquire(int i) const {
        const auto data = cache->acquire(matrix(i));
        REQUIRE(data);
        CHECK(is_right(i, *data));
        return *data;
    }
    void use(int i) const {
        acquire(i);
        cache->release(matrix(i));
    }
    // Whether using the matrix has to read the file.
    bool reads(int i) const {
        const uint64_t before = n_read();
        use(i);
        return n_read() != before;
    }
    uint64_t n_read() const { return cache->statistics().bytes_read / kSize; }
    uint64_t n_held() const { return cache->statistics().held_bytes / kSize; }

    ponder_test::TempFile file;
    std::vector<MappedFile> files;
    std::unique_ptr<ExpertCache> cache;
};

// A cache with room for a whole file of zeros, both of its readers at work on large matrices.
struct BusyFixture {
    static constexpr size_t kLarge = size_t{64} << 20;
    static constexpr int kSmall = 64;

    BusyFixture() : file("zeros.bin") {
        file.write("", 0);
        const size_t size = 2 * kLarge + kSmall * kSize;
        REQUIRE(::truncate(file.path().c_str(), static_cast<off_t>(size)) == 0);
        auto mapped = MappedFile::open(file.path());
        REQUIRE(mapped);
        files.push_back(std::move(*mapped));
        auto made = ExpertCache::create(files, size);
        REQUIRE(made);
        cache = std::move(*made);
        for (const size_t i : {0, 1}) cache->demand(files[0].bytes().subspan(i * kLarge, kLarge));
    }
    ExpertCache::Matrix small(int i) const { return files[0].bytes().subspan(2 * kLarge + static_cast<size_t>(i) * kSize, kSize); }

    ponder_test::TempFile file;
    std::vector<MappedFile> files;
    std::unique_ptr<ExpertCache> cache;
};

// Waits for what the cache's own threads do.
template <class Condition>
bool comes_true(const Condition& condition, std::chrono::seconds limit = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// Long enough for the cache's threads to do what they must not do.
void give_time() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }

}  // namespace

TEST_CASE("expert_cache: a matrix is read once and then kept") {
    const Fixture f(4);
    CHECK(f.cache->statistics().capacity_bytes == 4 * kSize);
    CHECK(f.reads(3));
    CHECK_FALSE(f.reads(3));
    const ExpertCacheStatistics s = f.cache->statistics();
    CHECK(s.bytes_read == kSize);
    CHECK(s.held_bytes == kSize);
    CHECK(s.n_demanded == 0);
}

TEST_CASE("expert_cache: the least recently used goes first") {
    const Fixture f(3);
    for (const int i : {0, 1, 2, 0}) f.use(i);
    CHECK(f.reads(3));  // in place of 1
    CHECK(f.n_held() == 3);
    for (const int i : {2, 0, 3}) CHECK_FALSE(f.reads(i));
    CHECK(f.reads(1));  // in place of 2
    CHECK_FALSE(f.reads(0));
    CHECK(f.reads(2));
}

TEST_CASE("expert_cache: what is held stays where it is, whatever else passes through") {
    const Fixture f(2);
    const std::byte* data = f.acquire(5);
    CHECK(f.acquire(5) == data);  // held twice
    f.cache->release(f.matrix(5));
    for (int i = 6; i < kMatrices; i++) f.use(i);
    CHECK(Fixture::is_right(5, data));
    CHECK(f.n_read() == 1 + kMatrices - 6);
    f.cache->release(f.matrix(5));
    f.use(0);
    f.use(1);
    CHECK(f.reads(5));
}

TEST_CASE("expert_cache: where everything is held, one more is refused, and room that is given back is used") {
    const Fixture f(2);
    f.acquire(0);
    f.acquire(1);
    auto refused = f.cache->acquire(f.matrix(2));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == PONDER_STATUS_MEMORY_CAP);
    CHECK(f.n_held() == 2);
    f.cache->release(f.matrix(0));
    f.use(2);
    CHECK(f.n_held() == 2);
    CHECK_FALSE(f.reads(1));
}

TEST_CASE("expert_cache: what is demanded is read before it is asked for") {
    const Fixture f(4);
    for (const int i : {0, 1, 2}) f.cache->demand(f.matrix(i));
    REQUIRE(comes_true([&] { return f.n_read() == 3; }));
    CHECK(f.cache->statistics().n_demanded == 3);
    CHECK(f.cache->statistics().n_hits == 0);
    for (const int i : {0, 1, 2}) CHECK_FALSE(f.reads(i));
    f.cache->demand(f.matrix(1));
    f.cache->demand(f.matrix(3));
    CHECK(f.cache->statistics().n_demanded == 5);
    CHECK(f.cache->statistics().n_hits == 1);
}

TEST_CASE("expert_cache: what is demanded does not give way to guesses or further demands") {
    const Fixture f(2);
    for (const int i : {0, 1}) f.cache->demand(f.matrix(i));
    REQUIRE(comes_true([&] { return f.n_read() == 2; }));
    f.cache->guess(f.matrix(2));
    give_time();
    f.cache->demand(f.matrix(3));
    give_time();
    CHECK(f.n_read() == 2);
    CHECK(f.cache->statistics().n_guessed == 0);
    for (const int i : {0, 1}) f.acquire(i);
    CHECK(f.n_read() == 2);
}

TEST_CASE("expert_cache: a demand that found no room is read when something is released") {
    const Fixture f(2);
    for (const int i : {0, 1, 2, 3}) f.cache->demand(f.matrix(i));
    REQUIRE(comes_true([&] { return f.n_read() == 2; }));
    give_time();
    for (const int i : {0, 1}) {
        f.use(i);
        CHECK(comes_true([&] { return f.n_read() == static_cast<uint64_t>(i) + 3; }));
    }
    for (const int i : {2, 3}) CHECK_FALSE(f.reads(i));
    CHECK(f.n_held() == 2);
}

TEST_CASE("expert_cache: what was demanded and used gives way again") {
    const Fixture f(2);
    for (const int i : {0, 1}) f.cache->demand(f.matrix(i));
    for (const int i : {0, 1}) f.use(i);
    f.cache->demand(f.matrix(2));
    f.cache->guess(f.matrix(3));
    CHECK(comes_true([&] { return f.n_read() == 4; }));
    CHECK(f.n_held() == 2);
}

TEST_CASE("expert_cache: whoever cannot wait takes the place of what is demanded") {
    const Fixture f(2);
    for (const int i : {0, 1}) f.cache->demand(f.matrix(i));
    REQUIRE(comes_true([&] { return f.n_read() == 2; }));
    CHECK(f.reads(2));
    CHECK(f.n_held() == 2);
}

TEST_CASE("expert_cache: dropped requests keep nothing and are not waited for") {
    const Fixture f(2);
    for (const int i : {0, 1}) f.cache->demand(f.matrix(i));
    REQUIRE(comes_true([&] { return f.n_read() == 2; }));
    f.cache->drop_requests();
    f.cache->demand(f.matrix(2));
    CHECK(comes_true([&] { return f.n_read() == 3; }));
    CHECK(f.n_held() == 2);
    CHECK_FALSE(f.reads(2));
}

TEST_CASE("expert_cache: guesses are read, counted, and counted once more when they are used") {
    const Fixture f(4);
    for (const int i : {0, 1, 2}) f.cache->guess(f.matrix(i));
    REQUIRE(comes_true([&] { return f.cache->statistics().n_guessed == 3; }));
    f.cache->drop_guesses();  // no use: they are there
    CHECK(f.n_held() == 3);
    for (const int i : {0, 1}) {
        f.cache->demand(f.matrix(i));
        CHECK_FALSE(f.reads(i));
        CHECK_FALSE(f.reads(i));
    }
    const ExpertCacheStatistics s = f.cache->statistics();
    CHECK(s.n_guesses_used == 2);
    CHECK(s.n_hits == 2);
    CHECK(s.n_guessed == 3);
    CHECK(s.bytes_read == 3 * kSize);
}

TEST_CASE("expert_cache: a guess of what is there makes it stay") {
    const Fixture f(2);
    f.use(0);
    f.use(1);
    f.cache->guess(f.matrix(0));
    f.use(2);
    CHECK_FALSE(f.reads(0));
    CHECK(f.cache->statistics().n_guessed == 0);
    CHECK(f.cache->statistics().n_guesses_used == 0);
}

TEST_CASE("expert_cache: what is waiting to be read is no hit, no used guess, and can be dropped") {
    bool was_dropped = false, was_no_hit = false;
    // On a machine that holds up this thread until the readers are done with their large matrices, another try does it.
    for (int attempt = 0; attempt < 20 && !(was_dropped && was_no_hit); attempt++) {
        const BusyFixture f;
        f.cache->demand(f.small(0));
        f.cache->demand(f.small(0));
        was_no_hit = was_no_hit || f.cache->statistics().n_hits == 0;
        for (int i = 1; i < BusyFixture::kSmall; i++) f.cache->guess(f.small(i));
        REQUIRE(f.cache->acquire(f.small(1)));
        f.cache->drop_guesses();
        REQUIRE(comes_true([&] { return f.cache->statistics().bytes_read > 2 * BusyFixture::kLarge; }));
        const auto all_are_read = [&] { return f.cache->statistics().n_guessed >= BusyFixture::kSmall - 2; };
        was_dropped = was_dropped || !comes_true(all_are_read, std::chrono::seconds(1));
        for (int i = 1; i < BusyFixture::kSmall; i++) f.cache->guess(f.small(i));
        CHECK(comes_true(all_are_read));
        CHECK(f.cache->statistics().n_guesses_used <= f.cache->statistics().n_guessed);
    }
    CHECK(was_dropped);
    CHECK(was_no_hit);
}

TEST_CASE("expert_cache: a file that has become shorter is an error that passes") {
    const Fixture f(4);
    f.use(0);
    REQUIRE(::truncate(f.file.path().c_str(), 5 * kSize + 1) == 0);
    f.cache->demand(f.matrix(5));
    for (int i = 0; i < 3; i++) {
        auto failed = f.cache->acquire(f.matrix(5));
        REQUIRE_FALSE(failed);
        CHECK(failed.error().status == PONDER_STATUS_IO);
        CHECK(failed.error().message.find(f.file.path()) != std::string::npos);
    }
    REQUIRE(comes_true([&] { return f.n_held() == 1; }));
    CHECK(f.n_read() == 1);
    CHECK_FALSE(f.reads(0));
    f.use(4);
    std::vector<std::byte> content(kSize * kMatrices);
    for (size_t i = 0; i < content.size(); i++) content[i] = byte_of(i);
    const int fd = ::open(f.file.path().c_str(), O_WRONLY);
    REQUIRE(::pwrite(fd, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
    ::close(fd);
    f.cache->guess(f.matrix(5));
    CHECK(comes_true([&] { return f.cache->statistics().n_guessed == 1; }));
    f.use(5);
}

TEST_CASE("expert_cache: what lies in no file is refused") {
    const Fixture f(4);
    const std::vector<std::byte> elsewhere(kSize);
    auto failed = f.cache->acquire(elsewhere);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().status == PONDER_STATUS_INTERNAL);
    CHECK(f.n_held() == 0);
}

TEST_CASE("expert_cache: threads get right bytes within the capacity") {
    constexpr size_t kKept = 6;
    const Fixture f(kKept);
    std::atomic<int> n_wrong{0}, n_failed{0};
    std::atomic<bool> is_over{false}, is_done{false};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; t++) {
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            for (int round = 0; round < 2'000; round++) {
                const int one = static_cast<int>(random() % kMatrices), other = static_cast<int>(random() % kMatrices);
                f.cache->guess(f.matrix(static_cast<int>(random() % kMatrices)));
                for (const int i : {one, other}) f.cache->demand(f.matrix(i));
                if (round % 16 == 0) f.cache->drop_guesses();
                if (round % 50 == 0) f.cache->drop_requests();
                // Each thread holds two at most: those of all three just fit.
                const auto first = f.cache->acquire(f.matrix(one)), second = f.cache->acquire(f.matrix(other));
                if (!first || !second) {
                    n_failed++;
                    break;
                }
                if (!Fixture::is_right(one, *first) || !Fixture::is_right(other, *second)) n_wrong++;
                for (const int i : {one, other}) f.cache->release(f.matrix(i));
            }
        });
    }
    std::thread watcher([&] {
        while (!is_done) {
            if (f.cache->statistics().held_bytes > kKept * kSize) is_over = true;
        }
    });
    for (std::thread& thread : threads) thread.join();
    is_done = true;
    watcher.join();
    CHECK(n_wrong == 0);
    CHECK(n_failed == 0);
    CHECK_FALSE(is_over);
    const ExpertCacheStatistics s = f.cache->statistics();
    CHECK(s.n_demanded == 3 * 2 * 2'000);
    CHECK(s.n_hits > 0);
    CHECK(s.n_hits < s.n_demanded);
    CHECK(s.n_guesses_used <= s.n_guessed);
    CHECK(s.held_bytes <= kKept * kSize);
    // Nothing is held any more: the whole capacity can be taken.
    for (int i = 0; i < static_cast<int>(kKept); i++) f.acquire(i);
}

TEST_CASE("expert_cache: ends while there is work") {
    const Fixture f(kMatrices);
    for (int i = 0; i < kMatrices; i++) f.cache->guess(f.matrix(i));
}
