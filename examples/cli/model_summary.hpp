// SPDX-License-Identifier: Apache-2.0
// What a model file says of its latent attention, experts and prediction layers, gathered from its keys and tensor names.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json_text.hpp"

namespace ponder::tool {

// Nothing is checked or filled in: a key that the file lacks is null, and what the library makes of that is in the file's remarks.
class ModelSummary {
  public:
    explicit ModelSummary(std::string architecture) : prefix_(std::move(architecture) + ".") {}

    // True for keys whose values are of use here.
    bool wants_key(std::string_view key) const { return key.starts_with(prefix_); }
    void add_key(std::string_view key, Json value);
    void add_tensor(std::string_view name);

    // Null if the file has none.
    Json latent_attention() const;
    Json experts() const;
    // Layers behind the others that predict the token after the next; null if no key speaks of them.
    Json prediction_layers() const { return value("nextn_predict_layers"); }

    // The same for people: (subject, text).
    std::vector<std::pair<std::string, std::string>> lines() const;

  private:
    Json value(const char* key) const;

    std::string prefix_;
    std::map<std::string, Json> values_;  // by key without the prefix
    bool has_combined_kv_b_ = false, has_split_kv_b_ = false, has_selection_bias_ = false;
};

}  // namespace ponder::tool
