// SPDX-License-Identifier: Apache-2.0
#include "base/checksum.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

using ponder::Checksum;

namespace {

uint64_t checksum_of(const std::vector<std::byte>& bytes) {
    Checksum checksum;
    checksum.update(bytes);
    return checksum.value();
}

}  // namespace

TEST_CASE("checksum: does not depend on how the stream is cut") {
    std::vector<std::byte> bytes(1000);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i * 31 % 251);
    for (const size_t step : {1, 7, 31, 32, 33, 64, 999}) {
        Checksum checksum;
        for (size_t i = 0; i < bytes.size(); i += step) checksum.update(std::span(bytes).subspan(i, std::min(step, bytes.size() - i)));
        CHECK(checksum.value() == checksum_of(bytes));
    }
}

TEST_CASE("checksum: every changed bit, lost byte and swapped word shows") {
    std::vector<std::byte> bytes(100);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i / 8);
    std::set<uint64_t> seen = {checksum_of(bytes)};
    for (size_t i = 0; i < bytes.size(); ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            auto changed = bytes;
            changed[i] ^= static_cast<std::byte>(1 << bit);
            CHECK(seen.insert(checksum_of(changed)).second);
        }
    }
    std::vector<std::byte> zeros;
    for (int i = 0; i < 100; ++i) {
        CHECK(seen.insert(checksum_of(zeros)).second);
        zeros.push_back(std::byte{0});
    }
    auto swapped = bytes;
    std::swap_ranges(swapped.begin(), swapped.begin() + 8, swapped.begin() + 32);
    CHECK(seen.insert(checksum_of(swapped)).second);
}
