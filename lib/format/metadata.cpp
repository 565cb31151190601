// SPDX-License-Identifier: Apache-2.0
// The ordered table of metadata: typed reading with messages that name the key, and owned storage for values built in memory.
#include "format/metadata.hpp"

#include <cinttypes>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/utf8.hpp"

namespace ponder {

namespace {

std::string describe_type(const Value& value) {
    if (value.type() != ValueType::kArray) return value_type_name(value.type());
    return std::string("array of ") + value_type_name(value.element_type());
}

Error wrong_type(std::string_view key, const Value& value, const char* wanted) {
    return make_error(PONDER_STATUS_FORMAT, "metadata key '%s': type %s where %s is needed", printable(key).c_str(),
                      describe_type(value).c_str(), wanted);
}

bool is_signed(ValueType type) {
    return type == ValueType::kI8 || type == ValueType::kI16 || type == ValueType::kI32 || type == ValueType::kI64;
}

template <class T>
Result<std::optional<T>> to_integer(std::string_view key, const Value* value) {
    if (value == nullptr) return std::optional<T>();
    if (!value->is_integer()) return wrong_type(key, *value, "an integer");
    const auto low = static_cast<int64_t>(std::numeric_limits<T>::min());
    const auto high = static_cast<uint64_t>(std::numeric_limits<T>::max());
    const auto negative = static_cast<int64_t>(value->bits());
    if (is_signed(value->type()) && negative < 0) {
        if (std::in_range<T>(negative)) return std::optional<T>(static_cast<T>(negative));
        return make_error(PONDER_STATUS_FORMAT, "metadata key '%s': value %" PRId64 " is below %" PRId64, printable(key).c_str(), negative,
                          low);
    }
    if (std::in_range<T>(value->bits())) return std::optional<T>(static_cast<T>(value->bits()));
    return make_error(PONDER_STATUS_FORMAT, "metadata key '%s': value %" PRIu64 " is above %" PRIu64, printable(key).c_str(), value->bits(),
                      high);
}

}  // namespace

const Value* Metadata::find(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &entries_[found->second].value;
}

Result<std::optional<uint32_t>> Metadata::get_u32(std::string_view key) const { return to_integer<uint32_t>(key, find(key)); }
Result<std::optional<int32_t>> Metadata::get_i32(std::string_view key) const { return to_integer<int32_t>(key, find(key)); }
Result<std::optional<int64_t>> Metadata::get_i64(std::string_view key) const { return to_integer<int64_t>(key, find(key)); }

Result<std::optional<float>> Metadata::get_f32(std::string_view key) const {
    constexpr double kLimit = std::numeric_limits<float>::max();
    const Value* value = find(key);
    if (value == nullptr) return std::optional<float>();
    if (value->type() != ValueType::kF32 && value->type() != ValueType::kF64) return wrong_type(key, *value, "a float");
    const double number = value->as_double();
    if (std::isfinite(number) && std::fabs(number) <= kLimit) return std::optional<float>(static_cast<float>(number));
    return make_error(PONDER_STATUS_FORMAT, "metadata key '%s': value %g is not a finite number within %g", printable(key).c_str(), number,
                      kLimit);
}

Result<std::optional<bool>> Metadata::get_bool(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::optional<bool>();
    if (value->type() != ValueType::kBool) return wrong_type(key, *value, "a bool");
    return std::optional<bool>(value->bits() != 0);
}

Result<std::optional<std::string_view>> Metadata::get_string(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::optional<std::string_view>();
    if (value->type() != ValueType::kString) return wrong_type(key, *value, "a string");
    return std::optional<std::string_view>(value->text());
}

Result<std::optional<StringArray>> Metadata::get_strings(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::optional<StringArray>();
    if (value->type() != ValueType::kArray || value->element_type() != ValueType::kString) {
        return wrong_type(key, *value, "an array of strings");
    }
    return std::optional<StringArray>(value->strings());
}

Result<std::optional<NumericArray>> Metadata::get_integers(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::optional<NumericArray>();
    const ValueType element = value->element_type();
    const bool has_integers = value_type_bytes(element) > 0 && element != ValueType::kF32 && element != ValueType::kF64;
    if (value->type() != ValueType::kArray || !has_integers) return wrong_type(key, *value, "an array of integers");
    const NumericArray array = value->numbers();
    for (size_t i = 0; element == ValueType::kU64 && i < array.size(); ++i) {
        uint64_t stored;
        std::memcpy(&stored, array.packed().data() + i * sizeof stored, sizeof stored);
        if (std::in_range<int64_t>(stored)) continue;
        return make_error(PONDER_STATUS_FORMAT, "metadata key '%s': element %zu is %" PRIu64 ", above %" PRId64, printable(key).c_str(), i,
                          stored, std::numeric_limits<int64_t>::max());
    }
    return std::optional<NumericArray>(array);
}

Result<std::optional<NumericArray>> Metadata::get_numbers(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::optional<NumericArray>();
    if (value->type() != ValueType::kArray || value_type_bytes(value->element_type()) == 0) {
        return wrong_type(key, *value, "an array of numbers");
    }
    const NumericArray array = value->numbers();
    const bool has_floats = array.element_type() == ValueType::kF32 || array.element_type() == ValueType::kF64;
    for (size_t i = 0; has_floats && i < array.size(); ++i) {
        if (std::isfinite(array.double_at(i))) continue;
        return make_error(PONDER_STATUS_FORMAT, "metadata key '%s': element %zu is %g, not a finite number", printable(key).c_str(), i,
                          array.double_at(i));
    }
    return std::optional<NumericArray>(array);
}

std::string_view Metadata::own(std::string_view bytes) {
    if (bytes.empty()) return {};
    owned_.push_back(std::make_unique<char[]>(bytes.size()));
    std::memcpy(owned_.back().get(), bytes.data(), bytes.size());
    return {owned_.back().get(), bytes.size()};
}

Value Metadata::own(const Value& value) {
    Value copy = value;
    copy.data_ = std::as_bytes(std::span(own({reinterpret_cast<const char*>(value.data_.data()), value.data_.size()})));
    // One block for all strings of an array: a vocabulary would otherwise make 150,000 small allocations.
    size_t total = 0;
    for (const std::string_view text : value.strings_) total += text.size();
    if (total == 0) return copy;
    owned_.push_back(std::make_unique<char[]>(total));
    char* to = owned_.back().get();
    for (std::string_view& text : copy.strings_) {
        if (!text.empty()) std::memcpy(to, text.data(), text.size());
        text = {to, text.size()};
        to += text.size();
    }
    return copy;
}

void Metadata::set(std::string_view key, const Value& value) {
    Value copy = own(value);
    const auto found = index_.find(key);
    if (found != index_.end()) {
        entries_[found->second].value = std::move(copy);
        return;
    }
    insert_view(own(key), std::move(copy));
}

void Metadata::erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const size_t position = found->second;
    index_.erase(found);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(position));
    for (auto& [name, at] : index_) {
        if (at > position) --at;
    }
}

bool Metadata::insert_view(std::string_view key, Value value) {
    if (!index_.emplace(key, entries_.size()).second) return false;
    entries_.push_back({key, std::move(value)});
    return true;
}

}  // namespace ponder
