// SPDX-License-Identifier: Apache-2.0
// Blocks of any stored type that mean moderate numbers, for problems whose answers are known.
#pragma once

#include <cstddef>
#include <random>

#include "quant/quant.hpp"

namespace ponder {

// Blocks, type.block_bytes each, at `to`: normal numbers encoded, or of types that cannot be made random bytes that mean finite numbers up
// to `most`, at least 1. The type must have a decoder.
void make_sample_blocks(const QuantType& type, size_t n_blocks, float most, std::mt19937& random, std::normal_distribution<float>& normal,
                        std::byte* to);

}  // namespace ponder
