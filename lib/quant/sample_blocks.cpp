// SPDX-License-Identifier: Apache-2.0
// Types without an encoder: bytes are drawn until they mean what is asked for.
#include "quant/sample_blocks.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ponder {

void make_sample_blocks(const QuantType& type, size_t n_blocks, float most, std::mt19937& random, std::normal_distribution<float>& normal,
                        std::byte* to) {
    if (type.encode != nullptr) {
        std::vector<float> values(n_blocks * type.block_len);
        for (float& v : values) v = normal(random);
        return type.encode(values.data(), to, static_cast<int64_t>(n_blocks), nullptr);
    }
    const auto is_moderate = [most](float v) { return std::isfinite(v) && std::fabs(v) <= most; };
    const int64_t range = std::min<int64_t>(100, static_cast<int64_t>(most));
    std::vector<float> block(type.block_len);
    for (size_t b = 0; b < n_blocks; b++, to += type.block_bytes) {
        int n_tries = 0;
        do {
            for (uint32_t i = 0; i < type.block_bytes; i++) to[i] = static_cast<std::byte>(random());
            if (n_tries++ > 16) {
                // Of wide integers hardly any are small: then a small one, sign-extended.
                const int64_t small = static_cast<int64_t>(random() % static_cast<uint32_t>(2 * range + 1)) - range;
                std::memcpy(to, &small, std::min<size_t>(type.block_bytes, sizeof small));
            }
            type.decode(to, block.data(), 1);
        } while (!std::all_of(block.begin(), block.end(), is_moderate));
    }
}

}  // namespace ponder
