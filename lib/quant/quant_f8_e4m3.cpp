// SPDX-License-Identifier: Apache-2.0
// F8_E4M3: one byte an element, sign, 4 exponent bits (bias 7), 3 mantissa bits; no infinities, all ones is NaN (arXiv 2209.05433).
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "quant/block_io.hpp"
#include "quant/quant.hpp"

namespace ponder {

namespace {

std::array<float, 256> make_table() {
    std::array<float, 256> table{};
    for (int byte = 0; byte < 256; byte++) {
        const int exponent = byte >> 3 & 15, mantissa = byte & 7;
        float value =
            exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9) : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
        if (exponent == 15 && mantissa == 7) value = std::numeric_limits<float>::quiet_NaN();
        table[static_cast<size_t>(byte)] = (byte & 128) != 0 ? -value : value;
    }
    return table;
}

const std::array<float, 256>& table() {
    static const std::array<float, 256> values = make_table();
    return values;
}

}  // namespace

void decode_f8_e4m3(const std::byte* src, float* dst, int64_t n) {
    const auto& values = table();
    for (int64_t i = 0; i < n; i++) dst[i] = values[std::to_integer<size_t>(src[i])];
}

void scale_f8_rows(float* rows, int64_t n_cols, int64_t first_row, int64_t n_rows, const std::byte* scales) {
    const int64_t n_blocks = f8_blocks(n_cols);
    for (int64_t r = 0; r < n_rows; r++) {
        const std::byte* scale = scales + (first_row + r) / kF8ScaleBlock * n_blocks * 4;
        float* row = rows + r * n_cols;
        for (int64_t begin = 0; begin < n_cols; begin += kF8ScaleBlock, scale += 4) {
            const float factor = std::bit_cast<float>(load_u32(scale));
            for (int64_t i = begin; i < std::min(n_cols, begin + kF8ScaleBlock); i++) row[i] *= factor;
        }
    }
}

}  // namespace ponder
