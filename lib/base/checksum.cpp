// SPDX-License-Identifier: Apache-2.0
// Four independent multiply-and-shift chains over stripes of 32 bytes, folded at the end.
#include "base/checksum.hpp"

#include <algorithm>
#include <cstring>

namespace ponder {

namespace {

// Odd, so that multiplying loses nothing: any single changed word changes its lane.
constexpr uint64_t kFactor = 0x9fb21c651e98df25u;

uint64_t fold(uint64_t state, uint64_t word) {
    state = (state ^ word) * kFactor;
    return state ^ state >> 32;
}

}  // namespace

void Checksum::mix(const std::byte* stripe) {
    for (size_t lane = 0; lane < lanes_.size(); ++lane) {
        uint64_t word;
        std::memcpy(&word, stripe + 8 * lane, sizeof word);
        lanes_[lane] = fold(lanes_[lane], word);
    }
}

void Checksum::update(std::span<const std::byte> bytes) {
    const size_t held = n_bytes_ % kStripe;
    n_bytes_ += bytes.size();
    if (held > 0) {
        const size_t taken = std::min(kStripe - held, bytes.size());
        std::copy_n(bytes.data(), taken, rest_.data() + held);
        bytes = bytes.subspan(taken);
        if (held + taken < kStripe) return;
        mix(rest_.data());
    }
    for (; bytes.size() >= kStripe; bytes = bytes.subspan(kStripe)) mix(bytes.data());
    std::copy_n(bytes.data(), bytes.size(), rest_.data());
}

uint64_t Checksum::value() const {
    uint64_t state = n_bytes_;
    for (const uint64_t lane : lanes_) state = fold(state, lane);
    for (size_t i = 0; i < n_bytes_ % kStripe; ++i) state = fold(state, static_cast<uint64_t>(rest_[i]));
    return state;
}

}  // namespace ponder
