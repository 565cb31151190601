// SPDX-License-Identifier: Apache-2.0
// Reads little-endian fields from the front of untrusted bytes; nothing is touched before it is known to be there.
#pragma once

#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/result.hpp"

namespace ponder::gguf {

class Cursor {
  public:
    explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    uint64_t offset() const { return offset_; }
    uint64_t remaining() const { return bytes_.size() - offset_; }

    // `field` is what the message calls it. Errors: PONDER_STATUS_FORMAT past the end.
    template <class T>
    Result<T> read(const char* field) {
        if (remaining() < sizeof(T)) return past_end(field, sizeof(T));
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof value);
        offset_ += sizeof value;
        return value;
    }

    Result<std::span<const std::byte>> take(const char* field, uint64_t size) {
        if (remaining() < size) return past_end(field, size);
        const auto taken = bytes_.subspan(offset_, size);
        offset_ += size;
        return taken;
    }

    // A u64 length and that many bytes. Errors: PONDER_STATUS_FORMAT past the end, PONDER_STATUS_LIMIT if longer than max_bytes.
    Result<std::string_view> read_string(const char* field, uint64_t max_bytes) {
        const auto length = read<uint64_t>(field);
        if (!length) return length.error();
        if (*length > remaining()) return past_end(field, *length);
        if (*length > max_bytes) {
            return make_error(PONDER_STATUS_LIMIT, "%s: %" PRIu64 " bytes, the limit is %" PRIu64, field, *length, max_bytes);
        }
        const auto bytes = bytes_.subspan(offset_, *length);
        offset_ += *length;
        return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }

  private:
    Error past_end(const char* field, uint64_t needed) const {
        return make_error(PONDER_STATUS_FORMAT, "%s: needs %" PRIu64 " bytes at offset %" PRIu64 ", only %" PRIu64 " are left in the file",
                          field, needed, offset_, remaining());
    }

    std::span<const std::byte> bytes_;
    uint64_t offset_ = 0;
};

}  // namespace ponder::gguf
