// SPDX-License-Identifier: Apache-2.0
// Metadata of a model: ordered keys with typed values, read from a mapped file without copies or built in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"

namespace ponder {

// The numbers are GGUF's.
enum class ValueType : int32_t {
    kU8 = 0,
    kI8 = 1,
    kU16 = 2,
    kI16 = 3,
    kU32 = 4,
    kI32 = 5,
    kF32 = 6,
    kBool = 7,
    kString = 8,
    kArray = 9,
    kU64 = 10,
    kI64 = 11,
    kF64 = 12,
};

// "u32", "string", ...; "unknown" for anything that is not listed above.
const char* value_type_name(ValueType type);

// Stored bytes of one number or bool; 0 for strings, arrays and unknown types.
size_t value_type_bytes(ValueType type);

// The numbers (or bools) of an array as they lie in the file: little-endian, packed, at any address. A view; it owns nothing.
class NumericArray {
  public:
    NumericArray() = default;
    // packed.size() is a multiple of the element's bytes.
    NumericArray(ValueType element_type, std::span<const std::byte> packed);

    ValueType element_type() const { return element_type_; }
    size_t size() const { return size_; }
    // Element i < size(). A value outside int64 becomes the nearest end of it, NaN becomes 0.
    int64_t int64_at(size_t i) const;
    double double_at(size_t i) const;
    std::span<const std::byte> packed() const { return packed_; }

  private:
    ValueType element_type_ = ValueType::kU8;
    size_t size_ = 0;
    std::span<const std::byte> packed_;
};

using StringArray = std::span<const std::string_view>;

// One value. Text and array elements are views: into the mapped file, or into what the Metadata that holds the value owns.
class Value {
  public:
    static Value from_u8(uint8_t v) { return scalar(ValueType::kU8, v); }
    static Value from_i8(int8_t v) { return scalar(ValueType::kI8, static_cast<uint64_t>(int64_t{v})); }
    static Value from_u16(uint16_t v) { return scalar(ValueType::kU16, v); }
    static Value from_i16(int16_t v) { return scalar(ValueType::kI16, static_cast<uint64_t>(int64_t{v})); }
    static Value from_u32(uint32_t v) { return scalar(ValueType::kU32, v); }
    static Value from_i32(int32_t v) { return scalar(ValueType::kI32, static_cast<uint64_t>(int64_t{v})); }
    static Value from_u64(uint64_t v) { return scalar(ValueType::kU64, v); }
    static Value from_i64(int64_t v) { return scalar(ValueType::kI64, static_cast<uint64_t>(v)); }
    static Value from_bool(bool v) { return scalar(ValueType::kBool, v ? 1 : 0); }
    static Value from_f32(float v);
    static Value from_f64(double v);
    static Value from_string(std::string_view text);
    static Value from_strings(std::vector<std::string_view> strings);
    // Packed little-endian numbers or bools (0 or 1).
    static Value from_packed(ValueType element_type, std::span<const std::byte> packed);
    template <class T>
    static Value from_array(std::span<const T> elements) {
        return from_packed(element_type_of<T>(), std::as_bytes(elements));
    }

    ValueType type() const { return type_; }
    // Arrays only.
    ValueType element_type() const { return element_type_; }
    size_t size() const;

    bool is_integer() const;
    // Integers and bools: zero- or sign-extended to 64 bits. Floats: the bits as stored.
    uint64_t bits() const { return bits_; }
    // Floats only; others give 0.
    double as_double() const;
    // Empty unless type() is kString / an array of strings / an array of numbers.
    std::string_view text() const;
    StringArray strings() const { return strings_; }
    NumericArray numbers() const;

    // Same type and same content; floats are compared by their bits.
    bool operator==(const Value& other) const;

  private:
    friend class Metadata;

    static Value scalar(ValueType type, uint64_t bits);
    template <class T>
    static constexpr ValueType element_type_of();

    ValueType type_ = ValueType::kU8;
    ValueType element_type_ = ValueType::kU8;
    uint64_t bits_ = 0;
    std::span<const std::byte> data_;        // text, or packed numbers
    std::vector<std::string_view> strings_;  // [size()]
};

// Moves, does not copy: values may view what it owns. Threads may read one Metadata together.
class Metadata {
  public:
    struct Entry {
        std::string_view key;
        Value value;
    };

    Metadata() = default;
    Metadata(Metadata&&) = default;
    Metadata& operator=(Metadata&&) = default;

    // In file order, or in the order of first setting.
    const std::vector<Entry>& entries() const { return entries_; }
    // Null if absent; valid until the next change.
    const Value* find(std::string_view key) const;

    // Typed reading. No value: the key is absent. PONDER_STATUS_FORMAT: it is there with another type or outside the range of the result.
    // Integer getters take any stored integer type; get_f32 takes f32 and f64 and refuses NaN, infinities and overflow.
    Result<std::optional<uint32_t>> get_u32(std::string_view key) const;
    Result<std::optional<int32_t>> get_i32(std::string_view key) const;
    Result<std::optional<int64_t>> get_i64(std::string_view key) const;
    Result<std::optional<float>> get_f32(std::string_view key) const;
    Result<std::optional<bool>> get_bool(std::string_view key) const;
    // Any bytes: string values need not be UTF-8.
    Result<std::optional<std::string_view>> get_string(std::string_view key) const;
    Result<std::optional<StringArray>> get_strings(std::string_view key) const;
    // An array of integers or bools, each inside int64.
    Result<std::optional<NumericArray>> get_integers(std::string_view key) const;
    // An array of any numbers, all finite: use double_at.
    Result<std::optional<NumericArray>> get_numbers(std::string_view key) const;

    // Sets or replaces; copies the key and everything that the value views.
    void set(std::string_view key, const Value& value);
    void erase(std::string_view key);

    // For readers: keeps the views, which must outlive this object. False, and nothing changed, if the key is already there.
    bool insert_view(std::string_view key, Value value);
    void reserve(size_t n_entries) { entries_.reserve(n_entries); }

  private:
    std::string_view own(std::string_view bytes);
    Value own(const Value& value);

    std::vector<Entry> entries_;
    // A tree, not a hash table: a file can choose its keys so that they collide.
    std::map<std::string_view, size_t, std::less<>> index_;
    std::vector<std::unique_ptr<char[]>> owned_;
};

template <class T>
constexpr ValueType Value::element_type_of() {
    if constexpr (std::is_same_v<T, uint8_t>) return ValueType::kU8;
    if constexpr (std::is_same_v<T, int8_t>) return ValueType::kI8;
    if constexpr (std::is_same_v<T, uint16_t>) return ValueType::kU16;
    if constexpr (std::is_same_v<T, int16_t>) return ValueType::kI16;
    if constexpr (std::is_same_v<T, uint32_t>) return ValueType::kU32;
    if constexpr (std::is_same_v<T, int32_t>) return ValueType::kI32;
    if constexpr (std::is_same_v<T, uint64_t>) return ValueType::kU64;
    if constexpr (std::is_same_v<T, int64_t>) return ValueType::kI64;
    if constexpr (std::is_same_v<T, float>) return ValueType::kF32;
    if constexpr (std::is_same_v<T, double>) return ValueType::kF64;
}

}  // namespace ponder
