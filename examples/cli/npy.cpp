// SPDX-License-Identifier: Apache-2.0
// Implementation of .npy matrices. Header (numpy.lib.format): magic, version, little-endian header length, a Python dict as text that is
// padded with blanks so that the data starts at a multiple of 64.
#include "npy.hpp"

#include <sys/stat.h>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "failure.hpp"

namespace ponder::tool {
namespace {

static_assert(std::endian::native == std::endian::little, "rows are written as they lie in memory");

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kMaxHeader = 65536;

// The text after `'key':` and blanks, or an empty view.
std::string_view value_of(std::string_view header, std::string_view key) {
    const size_t found = header.find(std::string("'").append(key).append("':"));
    if (found == std::string_view::npos) return {};
    const size_t value = header.find_first_not_of(' ', found + key.size() + 3);
    return value == std::string_view::npos ? std::string_view{} : header.substr(value);
}

// Reads a number off the front of `text`, and the blanks and `stop` after it.
bool take_size(std::string_view& text, char stop, size_t& value) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const size_t next = text.find_first_not_of(' ');
    if (next == std::string_view::npos || text[next] != stop) return false;
    text.remove_prefix(next + 1);
    const size_t rest = text.find_first_not_of(' ');
    text.remove_prefix(rest == std::string_view::npos ? text.size() : rest);
    return true;
}

}  // namespace

NpyWriter::NpyWriter(const std::string& path, size_t n_rows, size_t n_columns) : file_(path) {
    std::string dict =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(n_rows) + ", " + std::to_string(n_columns) + "), }";
    const size_t prefix = kMagic.size() + 4;
    const size_t unpadded = prefix + dict.size() + 1;
    dict.append((unpadded + 63) / 64 * 64 - unpadded, ' ').append("\n");
    std::string header(kMagic);
    header.append({'\x01', '\x00', static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)});
    file_.write(header.append(dict));
}

void NpyWriter::write_rows(std::span<const float> values) { file_.write(values.data(), values.size_bytes()); }

void NpyWriter::commit() { file_.commit(); }

NpyReader::NpyReader(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "rb")) {
    if (!file_) fail("%s: %s", path.c_str(), std::strerror(errno));
    read_header();
}

void NpyReader::read_header() {
    unsigned char prefix[12];
    if (std::fread(prefix, 1, 10, file_.get()) != 10 || std::memcmp(prefix, kMagic.data(), kMagic.size()) != 0) {
        fail("%s: not a .npy file", path_.c_str());
    }
    const unsigned version = prefix[6];
    size_t size = prefix[8] | static_cast<size_t>(prefix[9]) << 8;
    if (version == 2) {
        if (std::fread(prefix + 10, 1, 2, file_.get()) != 2) fail("%s: ends inside its header", path_.c_str());
        size |= static_cast<size_t>(prefix[10]) << 16 | static_cast<size_t>(prefix[11]) << 24;
    } else if (version != 1) {
        fail("%s: .npy version %u, expected 1 or 2", path_.c_str(), version);
    }
    if (size > kMaxHeader) fail("%s: header of %zu bytes, past the limit of %zu", path_.c_str(), size, kMaxHeader);
    std::string header(size, '\0');
    if (std::fread(header.data(), 1, size, file_.get()) != size) fail("%s: ends inside its header", path_.c_str());
    parse_header(header);

    struct stat status = {};
    const long data_start = std::ftell(file_.get());
    size_t n_bytes = 0;
    if (__builtin_mul_overflow(n_rows_, n_columns_, &n_bytes) || __builtin_mul_overflow(n_bytes, sizeof(float), &n_bytes) ||
        fstat(fileno(file_.get()), &status) != 0 || data_start < 0 ||
        static_cast<uint64_t>(status.st_size) - static_cast<uint64_t>(data_start) != n_bytes) {
        fail("%s: its size does not match the shape (%zu, %zu)", path_.c_str(), n_rows_, n_columns_);
    }
}

void NpyReader::parse_header(const std::string& header) {
    std::string_view shape = value_of(header, "shape");
    const bool is_float32 = value_of(header, "descr").starts_with("'<f4'");
    const bool is_c_order = value_of(header, "fortran_order").starts_with("False");
    const bool has_two_dims = shape.starts_with('(') && (shape.remove_prefix(1), take_size(shape, ',', n_rows_)) &&
                              (take_size(shape, ')', n_columns_) || take_size(shape, ',', n_columns_));
    if (!is_float32 || !is_c_order || !has_two_dims || n_columns_ == 0) {
        fail("%s: not a float32 matrix in C order", path_.c_str());
    }
}

void NpyReader::read_row(std::span<float> values) {
    if (std::fread(values.data(), sizeof(float), values.size(), file_.get()) != values.size()) {
        fail("%s: has no more rows", path_.c_str());
    }
}

}  // namespace ponder::tool
