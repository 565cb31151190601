// SPDX-License-Identifier: Apache-2.0
// Reads and checks the members of a JSON object; every failure names the field, the value and the limit.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/result.hpp"

namespace ponder {

// null counts as absent. The first failure sticks, so that callers check once. What is not an object has no members.
class JsonFields {
  public:
    // `prefix` stands before names in messages: "rope_scaling.". The object must outlive this one.
    explicit JsonFields(const nlohmann::json& object, std::string prefix = "") : object_(object), prefix_(std::move(prefix)) {}

    const std::optional<Error>& failure() const { return failure_; }
    void fail(Error error) {
        if (!failure_) failure_ = std::move(error);
    }

    // Null if absent.
    const nlohmann::json* find(const char* key) const;
    bool has(const char* key) const { return find(key) != nullptr; }
    // An integer in [low, high], also written with a fraction of zero; `fallback` if absent, FORMAT if there is no fallback either.
    int64_t integer(const char* key, int64_t low, int64_t high, std::optional<int64_t> fallback = std::nullopt);
    // A number in [low, high].
    double real(const char* key, double low, double high, std::optional<double> fallback = std::nullopt);
    bool boolean(const char* key, bool fallback);
    std::string string(const char* key, const char* fallback);

  private:
    void refuse(const char* key, const std::string& what);

    const nlohmann::json& object_;
    std::string prefix_;
    std::optional<Error> failure_;
};

}  // namespace ponder
