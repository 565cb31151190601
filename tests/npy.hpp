// SPDX-License-Identifier: Apache-2.0
// Reads the float32 arrays (.npy, format 1.0-3.0, little-endian, C order) that reference implementations left as expected values.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace ponder_test {

struct Npy {
    std::vector<int64_t> shape;  // slowest dimension first; empty for a scalar
    std::vector<float> data;     // [product of shape]

    int64_t size() const {
        int64_t n = 1;
        for (const int64_t extent : shape) n *= extent;
        return n;
    }
};

// The whole file as bytes; nothing if it cannot be read.
inline std::optional<std::vector<unsigned char>> read_bytes(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) return std::nullopt;
    std::vector<unsigned char> bytes;
    unsigned char chunk[65536];
    for (size_t n = 0; (n = std::fread(chunk, 1, sizeof chunk, file)) > 0;) bytes.insert(bytes.end(), chunk, chunk + n);
    const bool is_ok = std::ferror(file) == 0;
    std::fclose(file);
    if (!is_ok) return std::nullopt;
    return bytes;
}

// Nothing if the file is missing, is not a little-endian float32 array in C order, or is shorter than its shape says.
inline std::optional<Npy> read_npy(const std::string& path) {
    const auto bytes = read_bytes(path);
    if (!bytes || bytes->size() < 12 || std::memcmp(bytes->data(), "\x93NUMPY", 6) != 0) return std::nullopt;
    const unsigned char* p = bytes->data();
    const bool is_short = p[6] == 1;  // format 1.0 has a 16-bit header length, later ones 32 bits
    size_t header_len = static_cast<size_t>(p[8]) | static_cast<size_t>(p[9]) << 8;
    if (!is_short) header_len |= static_cast<size_t>(p[10]) << 16 | static_cast<size_t>(p[11]) << 24;
    const size_t start = is_short ? 10 : 12;
    if (header_len > bytes->size() - start) return std::nullopt;
    const std::string header(reinterpret_cast<const char*>(p + start), header_len);
    if (header.find("'<f4'") == std::string::npos || header.find("'fortran_order': False") == std::string::npos) return std::nullopt;

    Npy array;
    const size_t key = header.find("'shape':");
    if (key == std::string::npos) return std::nullopt;
    const size_t open = header.find('(', key);
    const size_t close = header.find(')', key);
    if (open == std::string::npos || close == std::string::npos || open > close) return std::nullopt;
    for (size_t at = open + 1; at < close;) {
        if (header[at] >= '0' && header[at] <= '9') {
            char* end = nullptr;
            array.shape.push_back(std::strtoll(header.c_str() + at, &end, 10));
            at = static_cast<size_t>(end - header.c_str());
        } else {
            at++;
        }
    }
    const size_t n = static_cast<size_t>(array.size());
    const size_t data_start = start + header_len;
    if (n > (bytes->size() - data_start) / sizeof(float)) return std::nullopt;
    array.data.resize(n);
    if (n != 0) std::memcpy(array.data.data(), p + data_start, n * sizeof(float));
    return array;
}

}  // namespace ponder_test
