// SPDX-License-Identifier: Apache-2.0
// A fast checksum of a byte stream, to notice bytes that changed on their way to the disk; no protection against intent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ponder {

// The same bytes give the same value however they are cut into updates.
class Checksum {
  public:
    void update(std::span<const std::byte> bytes);
    uint64_t value() const;

  private:
    static constexpr size_t kStripe = 32;
    void mix(const std::byte* stripe);

    std::array<uint64_t, 4> lanes_ = {0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 0xd6e8feb86659fd93u};
    std::array<std::byte, kStripe> rest_ = {};  // bytes that fill no stripe yet
    uint64_t n_bytes_ = 0;
};

}  // namespace ponder
