// SPDX-License-Identifier: Apache-2.0
// The bytes that a host keeps for a device between processes: a header that names their device, the self-tests it passed, the backend's
// data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace ponder {

struct DeviceCache {
    std::vector<uint64_t> passed;     // keys of self-tests
    std::span<const std::byte> data;  // the backend's; borrowed from the bytes that were parsed
};

std::vector<std::byte> write_device_cache(uint64_t identity, std::span<const uint64_t> passed, std::span<const std::byte> data);

// Caches of several devices, one after the other, each by itself; what is no whole cache comes as it is. Borrowed from `bytes`.
std::vector<std::span<const std::byte>> split_device_caches(std::span<const std::byte> bytes);

// Any bytes may be given. Errors: FORMAT, for what is cut, damaged, of another format or of another device; the message says which.
Result<DeviceCache> parse_device_cache(std::span<const std::byte> bytes, uint64_t identity);

}  // namespace ponder
