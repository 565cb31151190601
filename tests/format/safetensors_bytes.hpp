// SPDX-License-Identifier: Apache-2.0
// Bytes of a safetensors file from the text of its header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace ponder_test {

// Data bytes count up. `claimed`: what the header says its length is.
inline std::vector<std::byte> safetensors_bytes(std::string_view header, size_t n_data, uint64_t claimed) {
    std::vector<std::byte> bytes(sizeof claimed + header.size() + n_data);
    std::memcpy(bytes.data(), &claimed, sizeof claimed);
    std::memcpy(bytes.data() + sizeof claimed, header.data(), header.size());
    for (size_t i = 0; i < n_data; i++) bytes[sizeof claimed + header.size() + i] = static_cast<std::byte>(i);
    return bytes;
}

inline std::vector<std::byte> safetensors_bytes(std::string_view header, size_t n_data) {
    return safetensors_bytes(header, n_data, header.size());
}

}  // namespace ponder_test
