// SPDX-License-Identifier: Apache-2.0
// Typed access to JSON members.
#include "format/json_fields.hpp"

#include <cinttypes>
#include <cmath>

#include "base/utf8.hpp"

namespace ponder {
namespace {

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

std::optional<int64_t> as_integer(const nlohmann::json& value) {
    if (value.is_number_unsigned()) {
        const uint64_t number = value.get<uint64_t>();
        return number > INT64_MAX ? INT64_MAX : static_cast<int64_t>(number);
    }
    if (value.is_number_integer()) return value.get<int64_t>();
    if (!value.is_number_float()) return std::nullopt;
    const double number = value.get<double>();
    if (std::fabs(number) > kExactIntegers || number != std::floor(number)) return std::nullopt;
    return static_cast<int64_t>(number);
}

std::string shorten(const nlohmann::json& value) {
    if (value.is_structured()) return value.is_array() ? "a list" : "an object";
    return printable(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)).substr(0, 64);
}

}  // namespace

const nlohmann::json* JsonFields::find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void JsonFields::refuse(const char* key, const std::string& what) {
    fail(make_error(PONDER_STATUS_FORMAT, "%s%s: %s", prefix_.c_str(), key, what.c_str()));
}

int64_t JsonFields::integer(const char* key, int64_t low, int64_t high, std::optional<int64_t> fallback) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) {
        if (!fallback) refuse(key, "missing");
        return fallback.value_or(low);
    }
    const auto number = as_integer(*value);
    if (number && *number >= low && *number <= high) return *number;
    const std::string range = " is not an integer from " + std::to_string(low) + " to " + std::to_string(high);
    return refuse(key, shorten(*value) + range), low;
}

double JsonFields::real(const char* key, double low, double high, std::optional<double> fallback) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) {
        if (!fallback) refuse(key, "missing");
        return fallback.value_or(low);
    }
    if (value->is_number() && value->get<double>() >= low && value->get<double>() <= high) return value->get<double>();
    char range[80];
    std::snprintf(range, sizeof range, " is not a number from %g to %g", low, high);
    return refuse(key, shorten(*value) + range), low;
}

bool JsonFields::boolean(const char* key, bool fallback) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) return refuse(key, shorten(*value) + " is neither true nor false"), fallback;
    return value->get<bool>();
}

std::string JsonFields::string(const char* key, const char* fallback) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) return refuse(key, shorten(*value) + " is not a string"), fallback;
    return value->get<std::string>();
}

}  // namespace ponder
