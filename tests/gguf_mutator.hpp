// SPDX-License-Identifier: Apache-2.0
// Seeded damage to GGUF files: lies in the fields that a reader must not trust, cuts, bit flips, splices.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace ponder_test {

// Where the fields of a well-formed GGUF file lie.
class GgufFields {
  public:
    enum class Kind { kCount, kLength, kType, kDim, kOffset, kValue, kText };
    struct Field {
        Kind kind;
        size_t offset;
        size_t size;  // bytes
    };

    explicit GgufFields(std::span<const std::byte> bytes) : bytes_(bytes) { scan(); }

    const std::vector<Field>& fields() const { return fields_; }
    // Bytes before the data section, without padding.
    size_t header_bytes() const { return at_; }

  private:
    // Arrays are sampled: a vocabulary's 100,000 lengths would leave no chance to the other fields.
    static constexpr uint64_t kMaxSampledElements = 8;

    bool fits(uint64_t size) const { return size <= bytes_.size() - at_; }

    // Notes a field and steps over it; 0 past the end, where scanning stops.
    uint64_t take(Kind kind, size_t size, bool is_noted = true) {
        if (!fits(size)) {
            is_done_ = true;
            return 0;
        }
        uint64_t value = 0;
        std::memcpy(&value, bytes_.data() + at_, std::min<size_t>(size, 8));
        if (is_noted && size > 0) fields_.push_back({kind, at_, size});
        at_ += size;
        return value;
    }

    void take_string(Kind kind, bool is_noted = true) {
        const uint64_t length = take(Kind::kLength, 8, is_noted);
        take(kind, is_done_ ? 0 : static_cast<size_t>(length), is_noted);
    }

    void take_value(uint64_t type) {
        static constexpr std::array<size_t, 13> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
        if (type == 8) return take_string(Kind::kText);
        if (type != 9) {
            take(Kind::kValue, type < kBytes.size() ? kBytes[type] : 0);
            return;
        }
        const uint64_t element_type = take(Kind::kType, 4);
        const uint64_t count = take(Kind::kCount, 8);
        for (uint64_t i = 0; i < count && !is_done_; ++i) {
            const bool is_noted = i < kMaxSampledElements || i + 1 == count;
            if (element_type == 8) {
                take_string(Kind::kText, is_noted);
            } else {
                take(Kind::kValue, element_type < kBytes.size() ? kBytes[element_type] : 0, is_noted);
            }
        }
    }

    void scan() {
        take(Kind::kText, 4);
        take(Kind::kType, 4);
        const uint64_t n_tensors = take(Kind::kCount, 8);
        const uint64_t n_keys = take(Kind::kCount, 8);
        for (uint64_t i = 0; i < n_keys && !is_done_; ++i) {
            take_string(Kind::kText);
            take_value(take(Kind::kType, 4));
        }
        for (uint64_t i = 0; i < n_tensors && !is_done_; ++i) {
            take_string(Kind::kText);
            const uint64_t n_dims = take(Kind::kCount, 4);
            for (uint64_t d = 0; d < n_dims && !is_done_; ++d) take(Kind::kDim, 8);
            take(Kind::kType, 4);
            take(Kind::kOffset, 8);
        }
    }

    std::span<const std::byte> bytes_;
    size_t at_ = 0;
    bool is_done_ = false;
    std::vector<Field> fields_;
};

// Applies one to three mutations. The same bytes and seed give the same result everywhere.
class GgufMutator {
  public:
    explicit GgufMutator(std::span<const std::byte> original)
        : original_(original.begin(), original.end()), fields_(original_), header_bytes_(fields_.header_bytes()) {}

    std::vector<std::byte> mutate(uint64_t seed) {
        random_.seed(seed);
        bytes_ = original_;
        const uint64_t n = 1 + below(3);
        for (uint64_t i = 0; i < n && !bytes_.empty(); ++i) mutate_once();
        return bytes_;
    }

  private:
    using Field = GgufFields::Field;
    using Kind = GgufFields::Kind;

    // Not std::uniform_int_distribution: its results differ between standard libraries.
    uint64_t below(uint64_t n) { return random_() % n; }
    size_t position() {
        const size_t header = std::min(header_bytes_, bytes_.size());
        return header > 0 && below(8) != 0 ? below(header) : below(bytes_.size());
    }

    void mutate_once() {
        switch (below(10)) {
            case 0:
                bytes_.resize(below(bytes_.size() + 1));
                break;
            case 1:
                bytes_[position()] ^= static_cast<std::byte>(1u << below(8));
                break;
            case 2:
                splice();
                break;
            case 3:
                copy_field();
                break;
            default:
                lie();
                break;
        }
    }

    // Inserts, removes or moves a run, so that everything behind it is read out of step.
    void splice() {
        const size_t from = position();
        const size_t length = std::min<size_t>(1 + below(64), bytes_.size() - from);
        const std::vector<std::byte> run(bytes_.begin() + from, bytes_.begin() + from + length);
        if (below(2) == 0) bytes_.erase(bytes_.begin() + from, bytes_.begin() + from + length);
        if (bytes_.empty() || below(2) == 0) return;
        const size_t to = position();
        bytes_.insert(bytes_.begin() + to, run.begin(), run.end());
    }

    // One field over another: doubled names, swapped offsets, plausible values in the wrong place.
    void copy_field() {
        if (fields_.fields().empty()) return;
        const Field& from = fields_.fields()[below(fields_.fields().size())];
        const Field& to = fields_.fields()[below(fields_.fields().size())];
        const size_t size = std::min(from.size, to.size);
        if (from.offset + size > original_.size() || to.offset + size > bytes_.size()) return;
        std::memcpy(bytes_.data() + to.offset, original_.data() + from.offset, size);
    }

    void lie() {
        if (fields_.fields().empty()) return;
        const Field& field = fields_.fields()[below(fields_.fields().size())];
        if (field.offset + field.size > bytes_.size()) return;
        if (field.kind == Kind::kText) {
            bytes_[field.offset + below(field.size)] = static_cast<std::byte>(below(256));
            return;
        }
        const size_t size = std::min<size_t>(field.size, 8);
        uint64_t old = 0;
        std::memcpy(&old, bytes_.data() + field.offset, size);
        const uint64_t value = field.kind == Kind::kType ? lying_type() : lying_number(old);
        std::memcpy(bytes_.data() + field.offset, &value, size);
    }

    uint64_t lying_type() {
        return below(4) == 0 ? random_() : below(48) - 2;  // from -2 past the last known id
    }

    uint64_t lying_number(uint64_t old) {
        const std::array<uint64_t, 24> kEdges = {0,
                                                 1,
                                                 2,
                                                 3,
                                                 5,
                                                 31,
                                                 33,
                                                 255,
                                                 65'535,
                                                 1'000'000'000,
                                                 1ull << 30,
                                                 (1ull << 31) - 1,
                                                 1ull << 31,
                                                 (1ull << 32) - 1,
                                                 1ull << 32,
                                                 (1ull << 40) + 1,
                                                 (1ull << 42) + 1,
                                                 1ull << 62,
                                                 (1ull << 63) - 1,
                                                 1ull << 63,
                                                 ~0ull,
                                                 ~0ull - 31,
                                                 0x7fc00000,  // float NaN
                                                 0x7f800000};
        switch (below(8)) {
            case 0:
                return old + 1;
            case 1:
                return old - 1;
            case 2:
                return old * 2;
            case 3:
                return bytes_.size() - below(64);
            default:
                return kEdges[below(kEdges.size())];
        }
    }

    std::vector<std::byte> original_;
    GgufFields fields_;
    size_t header_bytes_;
    std::mt19937_64 random_;
    std::vector<std::byte> bytes_;
};

}  // namespace ponder_test
