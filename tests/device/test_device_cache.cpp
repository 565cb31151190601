// SPDX-License-Identifier: Apache-2.0
// The bytes that hosts keep for devices: what comes back, and that nothing else is believed.
#include <doctest/doctest.h>

#include <random>

#include "device/device_cache.hpp"

using namespace ponder;

namespace {

constexpr uint64_t kIdentity = 0x1234567890abcdef;
const std::vector<uint64_t> kPassed = {7, ~uint64_t{0}};

std::vector<std::byte> sample() {
    std::vector<std::byte> data(300);
    for (size_t i = 0; i < data.size(); i++) data[i] = static_cast<std::byte>(i * 31);
    return data;
}

}  // namespace

TEST_CASE("device_cache: what was written comes back") {
    const auto data = sample();
    const auto bytes = write_device_cache(kIdentity, kPassed, data);
    const auto cache = parse_device_cache(bytes, kIdentity);
    REQUIRE(cache);
    CHECK(cache->passed == kPassed);
    CHECK(std::equal(cache->data.begin(), cache->data.end(), data.begin(), data.end()));
    const auto nothing = write_device_cache(kIdentity, {}, {});
    const auto empty = parse_device_cache(nothing, kIdentity);
    REQUIRE(empty);
    CHECK(empty->passed.empty());
    CHECK(empty->data.empty());
}

TEST_CASE("device_cache: another device's is refused") {
    const auto bytes = write_device_cache(kIdentity, kPassed, sample());
    const auto cache = parse_device_cache(bytes, kIdentity + 1);
    REQUIRE_FALSE(cache);
    CHECK(cache.error().status == PONDER_STATUS_FORMAT);
}

TEST_CASE("device_cache: no cut, longer or changed bytes are believed") {
    const auto bytes = write_device_cache(kIdentity, kPassed, sample());
    for (size_t n = 0; n < bytes.size(); n++) CHECK_FALSE(parse_device_cache(std::span(bytes).first(n), kIdentity));
    auto longer = bytes;
    longer.push_back(std::byte{0});
    CHECK_FALSE(parse_device_cache(longer, kIdentity));
    for (size_t i = 0; i < bytes.size() * 8; i++) {
        auto changed = bytes;
        changed[i / 8] ^= static_cast<std::byte>(1u << i % 8);
        CHECK_FALSE(parse_device_cache(changed, kIdentity));
    }
    std::mt19937 random(1);
    for (int i = 0; i < 2000; i++) {
        auto changed = bytes;
        const size_t n_changes = 1 + random() % 8;
        for (size_t j = 0; j < n_changes; j++) changed[random() % changed.size()] = static_cast<std::byte>(random());
        if (random() % 4 == 0) changed.resize(random() % (changed.size() + 1));
        if (changed != bytes) CHECK_FALSE(parse_device_cache(changed, kIdentity));
    }
}
