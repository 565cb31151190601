// SPDX-License-Identifier: Apache-2.0
// Blocks of any stored type that mean moderate numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "quant/quant.hpp"

namespace ponder_test {

// One block, type.block_bytes at `at`: normal numbers encoded, or of types that cannot be made random bytes that mean moderate ones.
inline void make_block(const ponder::QuantType& type, std::mt19937& random, std::normal_distribution<float>& normal, std::byte* at) {
    std::vector<float> block(type.block_len);
    if (type.encode != nullptr) {
        for (float& v : block) v = normal(random);
        return type.encode(block.data(), at, 1, nullptr);
    }
    const auto is_moderate = [](float v) { return std::isfinite(v) && std::fabs(v) < 1e4f; };
    for (int tries = 0;; tries++) {
        for (uint32_t i = 0; i < type.block_bytes; i++) at[i] = static_cast<std::byte>(random());
        // Of wide integers hardly any are small: then a small one, sign-extended.
        const int64_t small = static_cast<int64_t>(random() % 201) - 100;
        if (tries > 64) std::memcpy(at, &small, std::min<size_t>(type.block_bytes, sizeof small));
        type.decode(at, block.data(), 1);
        if (std::all_of(block.begin(), block.end(), is_moderate)) return;
    }
}

}  // namespace ponder_test
