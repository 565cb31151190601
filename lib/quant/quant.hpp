// SPDX-License-Identifier: Apache-2.0
// The stored types of GGUF: for each its id, name, block size, and the functions that widen blocks to float32 and narrow float32 to blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ponder {

// Widens n_blocks blocks at src (any alignment, little-endian) to dst [n_blocks * block_len]. Every bit pattern is accepted; a block
// whose scale is not finite widens to values that are not finite. Results are those of the format's reference implementation, bit for bit.
using DecodeBlocks = void (*)(const std::byte* src, float* dst, int64_t n_blocks);

// Narrows src [n_blocks * block_len] to n_blocks blocks at dst (any alignment). The squared error is minimised, weighted by importance
// [n_blocks * block_len] where that is not null: weights of one row have one importance an input column, so with importance the call
// encodes one row. Importance that is negative or not finite counts as 0; where a whole block has none, its elements count alike.
// Block formats take any input: NaN becomes 0, values past the format's range saturate, and the blocks always widen to finite values.
// Formats with no block structure (F32, F16, BF16) convert each value as IEEE 754 says, rounding to nearest even. They and Q8_0, whose
// scale comes from the extreme element alone, ignore importance.
using EncodeBlocks = void (*)(const float* src, std::byte* dst, int64_t n_blocks, const float* importance);

struct QuantType {
    int32_t id;            // ggml's type number, as in GGUF tensor headers; from kFirstForeignType on ponder's own
    const char* name;      // "Q4_K"
    uint32_t block_len;    // elements
    uint32_t block_bytes;  // bytes
    DecodeBlocks decode;
    EncodeBlocks encode;  // null: the type can be read but not made
};

// Ids from here on are not GGUF's: types that other model files hold.
inline constexpr int32_t kFirstForeignType = 1000;

// DeepSeek's FP8: elements of type F8_E4M3, and a float32 factor for each block of 128 x 128 elements of a matrix, kept apart from them in
// row-major order; blocks at the edges are cut. The type's own decode gives elements before their factors.
inline constexpr int32_t kF8E4M3 = 1000;
inline constexpr int64_t kF8ScaleBlock = 128;
constexpr int64_t f8_blocks(int64_t n) { return (n + kF8ScaleBlock - 1) / kF8ScaleBlock; }
// Multiplies decoded rows [n_rows, n_cols], rows first_row and on of a matrix, by its factors [f8_blocks(all rows), f8_blocks(n_cols)]
// (any alignment).
void scale_f8_rows(float* rows, int64_t n_cols, int64_t first_row, int64_t n_rows, const std::byte* scales);

// All types that files may hold, by ascending id.
std::span<const QuantType> quant_types();

// Null if there is no such type. Names are compared without regard to ASCII case.
const QuantType* find_quant_type(int32_t id);
const QuantType* find_quant_type(std::string_view name);

// For an id that find_quant_type refuses: what it is known to be, for error messages ("Q4_2, removed from GGUF"). Null if it is unknown.
const char* refused_type_name(int32_t id);

// Bytes of a row of n_elements. Nothing if n_elements is not a multiple of the block or the product wraps.
std::optional<uint64_t> row_bytes(const QuantType& type, uint64_t n_elements);

}  // namespace ponder
