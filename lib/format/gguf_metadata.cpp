// SPDX-License-Identifier: Apache-2.0
// Key-value section of GGUF: every length, count and type is checked before it is used.
#include "format/gguf_metadata.hpp"

#include <cinttypes>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "base/utf8.hpp"

namespace ponder::gguf {

namespace {

// A key of one byte, its length, a type and a value of one byte.
constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;

template <class T>
Result<Value> read_scalar(Cursor& cursor, Value (*make)(T)) {
    const auto value = cursor.read<T>("value");
    if (!value) return value.error();
    return make(*value);
}

Error bad_bool(uint64_t index, uint8_t value) {
    return make_error(PONDER_STATUS_FORMAT, "element %" PRIu64 ": bool value %u is neither 0 nor 1", index, value);
}

Result<Value> read_bool(Cursor& cursor) {
    const auto value = cursor.read<uint8_t>("value");
    if (!value) return value.error();
    if (*value > 1) return bad_bool(0, *value);
    return Value::from_bool(*value == 1);
}

Result<Value> read_string_array(Cursor& cursor, uint64_t count) {
    std::vector<std::string_view> strings;
    strings.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
        const auto text = cursor.read_string("string", limits::kMaxStringBytes);
        if (!text) return with_context(text.error(), "element " + std::to_string(i));
        strings.push_back(*text);
    }
    return Value::from_strings(std::move(strings));
}

Result<Value> read_array(Cursor& cursor) {
    const auto type_id = cursor.read<int32_t>("array element type");
    if (!type_id) return type_id.error();
    const auto count = cursor.read<uint64_t>("array count");
    if (!count) return count.error();
    const auto type = static_cast<ValueType>(*type_id);
    if (type == ValueType::kArray) return make_error(PONDER_STATUS_UNSUPPORTED, "array element type 9: arrays of arrays are not supported");
    const bool is_string = type == ValueType::kString;
    const uint64_t bytes_each = is_string ? 8 : value_type_bytes(type);
    if (bytes_each == 0) return make_error(PONDER_STATUS_FORMAT, "array element type %d is unknown, 0 to 12 are known", *type_id);
    if (auto ok = check_count("array count", *count, limits::kMaxArrayElements, bytes_each, cursor.remaining()); !ok) return ok.error();
    if (is_string) return read_string_array(cursor, *count);

    const auto packed = cursor.take("array", *count * bytes_each);
    if (!packed) return packed.error();
    for (uint64_t i = 0; type == ValueType::kBool && i < *count; ++i) {
        const auto element = std::to_integer<uint8_t>((*packed)[i]);
        if (element > 1) return bad_bool(i, element);
    }
    return Value::from_packed(type, *packed);
}

Result<Value> read_value(Cursor& cursor) {
    const auto type_id = cursor.read<int32_t>("value type");
    if (!type_id) return type_id.error();
    switch (static_cast<ValueType>(*type_id)) {
        case ValueType::kU8:
            return read_scalar(cursor, Value::from_u8);
        case ValueType::kI8:
            return read_scalar(cursor, Value::from_i8);
        case ValueType::kU16:
            return read_scalar(cursor, Value::from_u16);
        case ValueType::kI16:
            return read_scalar(cursor, Value::from_i16);
        case ValueType::kU32:
            return read_scalar(cursor, Value::from_u32);
        case ValueType::kI32:
            return read_scalar(cursor, Value::from_i32);
        case ValueType::kU64:
            return read_scalar(cursor, Value::from_u64);
        case ValueType::kI64:
            return read_scalar(cursor, Value::from_i64);
        case ValueType::kF32:
            return read_scalar(cursor, Value::from_f32);
        case ValueType::kF64:
            return read_scalar(cursor, Value::from_f64);
        case ValueType::kBool:
            return read_bool(cursor);
        case ValueType::kArray:
            return read_array(cursor);
        case ValueType::kString: {
            const auto text = cursor.read_string("string", limits::kMaxStringBytes);
            if (!text) return text.error();
            return Value::from_string(*text);
        }
    }
    return make_error(PONDER_STATUS_FORMAT, "value type %d is unknown, 0 to 12 are known", *type_id);
}

}  // namespace

Result<void> check_count(const char* field, uint64_t count, uint64_t max, uint64_t bytes_each, uint64_t remaining) {
    if (count > max) return make_error(PONDER_STATUS_LIMIT, "%s: %" PRIu64 ", the limit is %" PRIu64, field, count, max);
    if (count <= remaining / bytes_each) return {};
    return make_error(PONDER_STATUS_FORMAT,
                      "%s: %" PRIu64 " of at least %" PRIu64 " bytes each, only %" PRIu64 " bytes are left in the file", field, count,
                      bytes_each, remaining);
}

Result<std::string_view> read_name(Cursor& cursor, const char* field, uint64_t max_bytes) {
    const auto name = cursor.read_string(field, max_bytes);
    if (!name) return name;
    if (name->empty()) return make_error(PONDER_STATUS_FORMAT, "%s: is empty", field);
    if (!is_utf8(*name)) return make_error(PONDER_STATUS_FORMAT, "%s: '%s' is not UTF-8", field, printable(*name).c_str());
    if (name->find('\0') != std::string_view::npos) {
        return make_error(PONDER_STATUS_FORMAT, "%s: '%s' contains a zero byte", field, printable(*name).c_str());
    }
    return name;
}

Result<Metadata> read_metadata(Cursor& cursor, uint64_t n_keys) {
    if (auto ok = check_count("number of metadata keys", n_keys, limits::kMaxMetadataKeys, kMinEntryBytes, cursor.remaining()); !ok) {
        return ok.error();
    }
    Metadata metadata;
    metadata.reserve(n_keys);
    for (uint64_t i = 0; i < n_keys; ++i) {
        const auto key = read_name(cursor, "key", limits::kMaxKeyBytes);
        if (!key) return with_context(key.error(), "metadata key " + std::to_string(i));
        auto value = read_value(cursor);
        if (!value) return with_context(value.error(), "metadata key '" + printable(*key) + "'");
        if (!metadata.insert_view(*key, std::move(*value))) {
            return make_error(PONDER_STATUS_FORMAT, "metadata key '%s' appears twice", printable(*key).c_str());
        }
    }
    return metadata;
}

}  // namespace ponder::gguf
