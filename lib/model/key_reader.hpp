// SPDX-License-Identifier: Apache-2.0
// Reads and checks metadata below one prefix; every failure names the key, the value and the limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "format/metadata.hpp"

namespace ponder {

// The first failure sticks, so that callers check once.
class KeyReader {
  public:
    KeyReader(const Metadata& metadata, std::string prefix) : metadata_(metadata), prefix_(std::move(prefix)) {}

    const std::optional<Error>& failure() const { return failure_; }
    void fail(Error error) {
        if (!failure_) failure_ = std::move(error);
    }

    bool has(const char* key) const { return metadata_.find(prefix_ + key) != nullptr; }
    // An integer in [low, high]; `fallback` if the key is absent, FORMAT if there is no fallback either.
    int64_t integer(const char* key, int64_t low, int64_t high, std::optional<int64_t> fallback = std::nullopt);
    // A float in (low, high].
    float real(const char* key, float low, float high, std::optional<float> fallback = std::nullopt);
    // One integer for all layers, or an array of one a layer.
    std::vector<int64_t> per_layer(const char* key, int64_t n_layers, int64_t low, int64_t high,
                                   const std::vector<int64_t>* fallback = nullptr);
    std::string string(const char* key, const char* fallback);
    bool boolean(const char* key, bool fallback);

  private:
    template <class T>
    T absent(const std::string& name, std::optional<T> fallback, T otherwise) {
        if (fallback) return *fallback;
        fail(make_error(PONDER_STATUS_FORMAT, "%s is missing", name.c_str()));
        return otherwise;
    }

    int64_t check_range(const std::string& name, int64_t value, int64_t low, int64_t high);

    const Metadata& metadata_;
    std::string prefix_;
    std::optional<Error> failure_;
};

}  // namespace ponder
