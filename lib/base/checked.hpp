// SPDX-License-Identifier: Apache-2.0
// Arithmetic on untrusted sizes: every operation says whether it wrapped.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>

namespace ponder {

template <std::unsigned_integral T>
constexpr std::optional<T> checked_add(T a, T b) {
    if (a > std::numeric_limits<T>::max() - b) return std::nullopt;
    return static_cast<T>(a + b);
}

template <std::unsigned_integral T>
constexpr std::optional<T> checked_mul(T a, T b) {
    if (a != 0 && b > std::numeric_limits<T>::max() / a) return std::nullopt;
    return static_cast<T>(a * b);
}

// Smallest multiple of `alignment` that is not below `value`; nothing if alignment is not a power of two or the result wraps.
template <std::unsigned_integral T>
constexpr std::optional<T> checked_align(T value, T alignment) {
    if (!std::has_single_bit(alignment)) return std::nullopt;
    const auto padded = checked_add<T>(value, alignment - 1);
    if (!padded) return std::nullopt;
    return static_cast<T>(*padded & ~(alignment - 1));
}

// True if [offset, offset + size) lies inside [0, total).
template <std::unsigned_integral T>
constexpr bool range_fits(T offset, T size, T total) {
    return offset <= total && size <= total - offset;
}

}  // namespace ponder
