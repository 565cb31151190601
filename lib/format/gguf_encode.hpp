// SPDX-License-Identifier: Apache-2.0
// Appends GGUF fields to a byte string.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "format/metadata.hpp"

namespace ponder::gguf {

static_assert(std::endian::native == std::endian::little, "fields are copied as they lie in memory");

template <class T>
void put(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void put_string(std::string& to, std::string_view text) {
    put<uint64_t>(to, text.size());
    to.append(text);
}

// Type and value, as they follow a key.
inline void put_value(std::string& to, const Value& value) {
    put(to, static_cast<int32_t>(value.type()));
    if (value.type() == ValueType::kString) {
        put_string(to, value.text());
    } else if (value.type() != ValueType::kArray) {
        const uint64_t bits = value.bits();
        to.append(reinterpret_cast<const char*>(&bits), value_type_bytes(value.type()));
    } else {
        put(to, static_cast<int32_t>(value.element_type()));
        put<uint64_t>(to, value.size());
        for (const std::string_view text : value.strings()) put_string(to, text);
        const auto packed = value.numbers().packed();
        to.append(reinterpret_cast<const char*>(packed.data()), packed.size());
    }
}

}  // namespace ponder::gguf
