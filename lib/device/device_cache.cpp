// SPDX-License-Identifier: Apache-2.0
// Layout, in the machine's byte order: header, passed [n_passed], data [the rest].
#include "device/device_cache.hpp"

#include <algorithm>
#include <cstring>

#include "base/checksum.hpp"

namespace ponder {

namespace {

struct Header {
    char magic[8];
    uint32_t version;  // of this layout
    uint32_t n_passed;
    uint64_t n_bytes;   // of all, header included
    uint64_t identity;  // of device, driver and build
    uint64_t checksum;  // of all, with 0 in this place
};
static_assert(sizeof(Header) == 40);

constexpr char kMagic[8] = {'P', 'O', 'N', 'D', 'E', 'R', 'D', 'C'};
constexpr uint32_t kVersion = 1, kMaxPassed = 1u << 16;

uint64_t checksum_of(Header header, std::span<const std::byte> rest) {
    header.checksum = 0;
    Checksum sum;
    sum.update(std::as_bytes(std::span(&header, 1)));
    sum.update(rest);
    return sum.value();
}

}  // namespace

std::vector<std::byte> write_device_cache(uint64_t identity, std::span<const uint64_t> passed, std::span<const std::byte> data) {
    Header header{.magic = {},
                  .version = kVersion,
                  .n_passed = static_cast<uint32_t>(passed.size()),
                  .n_bytes = sizeof(Header) + passed.size_bytes() + data.size(),
                  .identity = identity,
                  .checksum = 0};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    std::vector<std::byte> bytes(header.n_bytes);
    if (!passed.empty()) std::memcpy(bytes.data() + sizeof header, passed.data(), passed.size_bytes());
    if (!data.empty()) std::memcpy(bytes.data() + sizeof header + passed.size_bytes(), data.data(), data.size());
    header.checksum = checksum_of(header, std::span(bytes).subspan(sizeof header));
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

std::vector<std::span<const std::byte>> split_device_caches(std::span<const std::byte> bytes) {
    std::vector<std::span<const std::byte>> caches;
    while (!bytes.empty()) {
        Header header{};
        std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
        const bool is_whole = bytes.size() >= sizeof header && std::memcmp(header.magic, kMagic, sizeof kMagic) == 0 &&
                              header.n_bytes >= sizeof header && header.n_bytes <= bytes.size();
        const size_t n_bytes = is_whole ? header.n_bytes : bytes.size();
        caches.push_back(bytes.first(n_bytes));
        bytes = bytes.subspan(n_bytes);
    }
    return caches;
}

Result<DeviceCache> parse_device_cache(std::span<const std::byte> bytes, uint64_t identity) {
    const auto refuse = [](const char* why) { return make_error(PONDER_STATUS_FORMAT, "%s", why); };
    Header header;
    if (bytes.size() < sizeof header) return refuse("it is shorter than its header");
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto rest = bytes.subspan(sizeof header);
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return refuse("it is no device cache");
    if (header.version != kVersion) return refuse("it is of another version of the format");
    if (header.n_bytes != bytes.size()) return refuse("it was cut, or is longer than it says");
    if (header.checksum != checksum_of(header, rest)) return refuse("it is damaged");
    if (header.identity != identity) return refuse("it is of another device, driver or build");
    if (header.n_passed > kMaxPassed || header.n_passed * sizeof(uint64_t) > rest.size()) return refuse("it contradicts itself");
    DeviceCache cache;
    cache.passed.resize(header.n_passed);
    const size_t n_bytes = header.n_passed * sizeof(uint64_t);
    if (n_bytes > 0) std::memcpy(cache.passed.data(), rest.data(), n_bytes);
    cache.data = rest.subspan(n_bytes);
    return cache;
}

}  // namespace ponder
