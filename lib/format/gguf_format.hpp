// SPDX-License-Identifier: Apache-2.0
// Constants of the GGUF container that its reader and its writer share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ponder::gguf {

// Little-endian file:
//   "GGUF", u32 version, u64 n_tensors, u64 n_keys,
//   n_keys    x { string key, i32 value type, value },          value: scalar | string | { i32 element type, u64 count, elements }
//   n_tensors x { string name, u32 n_dims, i64 dims[n_dims], i32 type, u64 offset },
//   padding to the alignment, then the data section, which every offset counts from.
// A string is { u64 length, bytes }.
inline constexpr std::string_view kMagic = "GGUF";
inline bool has_magic(std::span<const std::byte> bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with(kMagic);
}
inline constexpr uint32_t kVersion = 3;     // what is written
inline constexpr uint32_t kMinVersion = 2;  // version 1 had 32-bit counts
inline constexpr uint32_t kDefaultAlignment = 32;
inline constexpr uint32_t kQuantizationVersion = 2;

inline constexpr std::string_view kAlignmentKey = "general.alignment";
inline constexpr std::string_view kQuantizationVersionKey = "general.quantization_version";
inline constexpr std::string_view kSplitPrefix = "split.";
inline constexpr std::string_view kSplitNumberKey = "split.no";              // from 0
inline constexpr std::string_view kSplitCountKey = "split.count";            // 0 or 1: a file of its own
inline constexpr std::string_view kSplitTensorsKey = "split.tensors.count";  // over all parts

}  // namespace ponder::gguf
