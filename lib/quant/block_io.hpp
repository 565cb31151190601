// SPDX-License-Identifier: Apache-2.0
// Reads and writes the fields of stored blocks: little-endian at any alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/half.hpp"

namespace ponder {

inline uint8_t load_u8(const std::byte* p) { return std::to_integer<uint8_t>(*p); }
inline int8_t load_i8(const std::byte* p) { return static_cast<int8_t>(std::to_integer<uint8_t>(*p)); }
inline uint16_t load_u16(const std::byte* p) { return static_cast<uint16_t>(load_u8(p) | load_u8(p + 1) << 8); }
inline uint32_t load_u32(const std::byte* p) { return load_u16(p) | static_cast<uint32_t>(load_u16(p + 2)) << 16; }
inline uint64_t load_u64(const std::byte* p) { return load_u32(p) | static_cast<uint64_t>(load_u32(p + 4)) << 32; }
inline float load_half(const std::byte* p) { return half_to_float(load_u16(p)); }

inline void store_u8(std::byte* p, uint32_t value) { *p = static_cast<std::byte>(value & 0xffu); }
inline void store_u16(std::byte* p, uint32_t value) {
    store_u8(p, value);
    store_u8(p + 1, value >> 8);
}
inline void store_u32(std::byte* p, uint32_t value) {
    store_u16(p, value & 0xffffu);
    store_u16(p + 2, value >> 16);
}

}  // namespace ponder
