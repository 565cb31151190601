// SPDX-License-Identifier: Apache-2.0
// Single metadata values: construction, element access, comparison.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "format/metadata.hpp"

namespace ponder {

static_assert(std::endian::native == std::endian::little, "stored numbers are read in place");

namespace {

template <class T>
T load(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Calls visit(element) with element i in its stored type.
template <class Visit>
auto with_element(ValueType type, const std::byte* elements, size_t i, Visit visit) {
    const std::byte* at = elements + i * value_type_bytes(type);
    switch (type) {
        case ValueType::kI8:
            return visit(load<int8_t>(at));
        case ValueType::kU16:
            return visit(load<uint16_t>(at));
        case ValueType::kI16:
            return visit(load<int16_t>(at));
        case ValueType::kU32:
            return visit(load<uint32_t>(at));
        case ValueType::kI32:
            return visit(load<int32_t>(at));
        case ValueType::kU64:
            return visit(load<uint64_t>(at));
        case ValueType::kI64:
            return visit(load<int64_t>(at));
        case ValueType::kF32:
            return visit(load<float>(at));
        case ValueType::kF64:
            return visit(load<double>(at));
        default:
            return visit(load<uint8_t>(at));
    }
}

template <class T>
int64_t to_int64(T value) {
    if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(value)) return 0;
        if (value >= static_cast<T>(0x1p63)) return std::numeric_limits<int64_t>::max();
        if (value < static_cast<T>(-0x1p63)) return std::numeric_limits<int64_t>::min();
        return static_cast<int64_t>(value);
    } else {
        return std::in_range<int64_t>(value) ? static_cast<int64_t>(value) : std::numeric_limits<int64_t>::max();
    }
}

}  // namespace

const char* value_type_name(ValueType type) {
    static constexpr const char* kNames[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
    const auto index = static_cast<size_t>(type);
    return index < std::size(kNames) ? kNames[index] : "unknown";
}

size_t value_type_bytes(ValueType type) {
    static constexpr size_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    const auto index = static_cast<size_t>(type);
    return index < std::size(kBytes) ? kBytes[index] : 0;
}

NumericArray::NumericArray(ValueType element_type, std::span<const std::byte> packed) : element_type_(element_type), packed_(packed) {
    const size_t bytes = value_type_bytes(element_type);
    size_ = bytes == 0 ? 0 : packed.size() / bytes;
}

int64_t NumericArray::int64_at(size_t i) const {
    return with_element(element_type_, packed_.data(), i, [](auto element) { return to_int64(element); });
}

double NumericArray::double_at(size_t i) const {
    return with_element(element_type_, packed_.data(), i, [](auto element) { return static_cast<double>(element); });
}

Value Value::scalar(ValueType type, uint64_t bits) {
    Value value;
    value.type_ = type;
    value.bits_ = bits;
    return value;
}

Value Value::from_f32(float v) { return scalar(ValueType::kF32, std::bit_cast<uint32_t>(v)); }
Value Value::from_f64(double v) { return scalar(ValueType::kF64, std::bit_cast<uint64_t>(v)); }

Value Value::from_string(std::string_view text) {
    Value value;
    value.type_ = ValueType::kString;
    value.data_ = std::as_bytes(std::span(text));
    return value;
}

Value Value::from_strings(std::vector<std::string_view> strings) {
    Value value;
    value.type_ = ValueType::kArray;
    value.element_type_ = ValueType::kString;
    value.strings_ = std::move(strings);
    return value;
}

Value Value::from_packed(ValueType element_type, std::span<const std::byte> packed) {
    Value value;
    value.type_ = ValueType::kArray;
    value.element_type_ = element_type;
    value.data_ = packed;
    return value;
}

size_t Value::size() const {
    if (type_ != ValueType::kArray) return 0;
    return element_type_ == ValueType::kString ? strings_.size() : numbers().size();
}

bool Value::is_integer() const {
    return type_ != ValueType::kBool && type_ != ValueType::kF32 && type_ != ValueType::kF64 && value_type_bytes(type_) > 0;
}

double Value::as_double() const {
    if (type_ == ValueType::kF32) return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits_)));
    if (type_ == ValueType::kF64) return std::bit_cast<double>(bits_);
    return 0;
}

std::string_view Value::text() const {
    if (type_ != ValueType::kString) return {};
    return {reinterpret_cast<const char*>(data_.data()), data_.size()};
}

NumericArray Value::numbers() const {
    if (type_ != ValueType::kArray || element_type_ == ValueType::kString) return {};
    return {element_type_, data_};
}

bool Value::operator==(const Value& other) const {
    return type_ == other.type_ && element_type_ == other.element_type_ && bits_ == other.bits_ &&
           std::equal(data_.begin(), data_.end(), other.data_.begin(), other.data_.end()) && strings_ == other.strings_;
}

}  // namespace ponder
