// SPDX-License-Identifier: Apache-2.0
// Parts of a mapping that become the process's own.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/mapped_file.hpp"
#include "temp_file.hpp"

using namespace ponder;

namespace {

std::vector<std::byte> count_up(size_t n) {
    std::vector<std::byte> all(n);
    for (size_t i = 0; i < n; i++) all[i] = static_cast<std::byte>(i * 7 + i / 4096);
    return all;
}

struct Mapped {
    explicit Mapped(size_t n) : bytes(count_up(n)) {
        on_disk.write(bytes.data(), bytes.size());
        auto opened = MappedFile::open(on_disk.path());
        REQUIRE(opened);
        file = std::move(*opened);
    }
    Result<void> own(size_t first, size_t n) {
        return file.own(file.bytes().subspan(first, n), [&](std::span<std::byte> dst, uint64_t offset) { return file.read(offset, dst); });
    }
    bool is_whole() const { return std::equal(file.bytes().begin(), file.bytes().end(), bytes.begin(), bytes.end()); }

    std::vector<std::byte> bytes;
    ponder_test::TempFile on_disk{"bytes"};
    MappedFile file;
};

}  // namespace

TEST_CASE("mapped_file: own pages have the file's bytes, wherever they begin and end") {
    constexpr size_t kBytes = 5'000'001;
    for (const auto& [first, n] :
         {std::pair<size_t, size_t>{0, kBytes}, {1, 1}, {4'096, 4'096}, {3'000'000, kBytes - 3'000'000}, {100, 0}}) {
        CAPTURE(first);
        Mapped mapped(kBytes);
        CHECK(mapped.own(first, n));
        CHECK(mapped.is_whole());
    }
}

TEST_CASE("mapped_file: neighbouring ranges share a page") {
    Mapped mapped(1'000'000);
    CHECK(mapped.own(0, 500'000));
    CHECK(mapped.own(500'000, 500'000));
    CHECK(mapped.own(100, 900'000));
    CHECK(mapped.is_whole());
}

TEST_CASE("mapped_file: own pages outlive what happens to the file") {
    Mapped mapped(1'000'000);
    REQUIRE(mapped.own(0, 1'000'000));
    REQUIRE(::truncate(mapped.on_disk.path().c_str(), 10) == 0);
    CHECK(mapped.is_whole());
}

TEST_CASE("mapped_file: a failed copy changes nothing") {
    Mapped mapped(1'000'000);
    const auto failed = mapped.file.own(mapped.file.bytes(), [](std::span<std::byte> dst, uint64_t) -> Result<void> {
        std::fill(dst.begin(), dst.end(), std::byte{1});
        return make_error(PONDER_STATUS_IO, "the disk is gone");
    });
    REQUIRE_FALSE(failed);
    CHECK(failed.error().status == PONDER_STATUS_IO);
    CHECK(mapped.is_whole());
}
