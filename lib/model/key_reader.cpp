// SPDX-License-Identifier: Apache-2.0
// The typed readers: absent keys fall back, the others are checked against their range.
#include "model/key_reader.hpp"

namespace ponder {

int64_t KeyReader::integer(const char* key, int64_t low, int64_t high, std::optional<int64_t> fallback) {
    const std::string name = prefix_ + key;
    const auto value = metadata_.get_i64(name);
    if (!value) return fail(value.error()), low;
    if (!*value) return absent(name, fallback, low);
    return check_range(name, **value, low, high);
}

float KeyReader::real(const char* key, float low, float high, std::optional<float> fallback) {
    const std::string name = prefix_ + key;
    const auto value = metadata_.get_f32(name);
    if (!value) return fail(value.error()), high;
    if (!*value) return absent(name, fallback, high);
    if (!(**value > low && **value <= high)) {
        fail(make_error(PONDER_STATUS_FORMAT, "%s is %g, it must be above %g and at most %g", name.c_str(), double{**value}, double{low},
                        double{high}));
        return high;
    }
    return **value;
}

std::vector<int64_t> KeyReader::per_layer(const char* key, int64_t n_layers, int64_t low, int64_t high,
                                          const std::vector<int64_t>* fallback) {
    const std::string name = prefix_ + key;
    const Value* value = metadata_.find(name);
    if (value == nullptr && fallback != nullptr) return *fallback;
    if (value == nullptr || value->type() != ValueType::kArray)
        return std::vector<int64_t>(static_cast<size_t>(n_layers), integer(key, low, high));
    const auto array = metadata_.get_integers(name);
    if (!array) return fail(array.error()), std::vector<int64_t>{};
    if (static_cast<int64_t>((*array)->size()) != n_layers) {
        fail(make_error(PONDER_STATUS_FORMAT, "%s has %zu elements for %lld layers", name.c_str(), (*array)->size(),
                        static_cast<long long>(n_layers)));
        return {};
    }
    std::vector<int64_t> values;
    for (size_t i = 0; i < (*array)->size(); i++) values.push_back(check_range(name, (*array)->int64_at(i), low, high));
    return values;
}

std::string KeyReader::string(const char* key, const char* fallback) {
    const auto value = metadata_.get_string(prefix_ + key);
    if (!value) return fail(value.error()), fallback;
    return std::string(value->value_or(fallback));
}

bool KeyReader::boolean(const char* key, bool fallback) {
    const auto value = metadata_.get_bool(prefix_ + key);
    if (!value) return fail(value.error()), fallback;
    return value->value_or(fallback);
}

int64_t KeyReader::check_range(const std::string& name, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return value;
    const ponder_status status = value > high ? PONDER_STATUS_LIMIT : PONDER_STATUS_FORMAT;
    fail(make_error(status, "%s is %lld, it must be %lld to %lld", name.c_str(), static_cast<long long>(value), static_cast<long long>(low),
                    static_cast<long long>(high)));
    return low;
}

}  // namespace ponder
