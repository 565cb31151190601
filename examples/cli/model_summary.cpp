// SPDX-License-Identifier: Apache-2.0
// Names the keys, and puts their values into words.
#include "model_summary.hpp"

#include <iterator>

namespace ponder::tool {
namespace {

// A value in a sentence; one that the file lacks is a question mark.
std::string text_of(const Json& value) {
    return value.is_null() ? "?" : value.is_string() ? value.get<std::string>() : to_json_line(value);
}

std::string gating_name(const Json& function) {
    constexpr const char* kNames[] = {nullptr, "softmax", "sigmoid"};  // expert_gating_func
    if (!function.is_number_unsigned()) return "?";
    const auto number = function.get<uint64_t>();
    const char* name = number < std::size(kNames) ? kNames[number] : nullptr;
    return name != nullptr ? name : "function " + std::to_string(number);
}

std::string latent_line(const Json& latent) {
    std::string line = "latent, " + text_of(latent["heads"]) + " heads; cache of " + text_of(latent["kv_lora_rank"]) + " latent + " +
                       text_of(latent["rope_dimensions"]) + " rotated numbers a token; keys of " + text_of(latent["key_length"]) +
                       ", values of " + text_of(latent["value_length"]) + " a head; ";
    line += latent["q_lora_rank"].is_null() ? "no query latent" : "query latent of " + text_of(latent["q_lora_rank"]);
    return line + "; " + text_of(latent["layout"]) + " layout";
}

std::string expert_line(const Json& experts) {
    std::string line = text_of(experts["used"]) + " of " + text_of(experts["count"]) + " routed";
    if (!experts["groups"].is_null()) {
        line += " in " + text_of(experts["groups_used"]) + " of " + text_of(experts["groups"]) + " groups";
    }
    line += ", " + text_of(experts["shared"]) + " shared; inner width " + text_of(experts["feed_forward_length"]) + "; ";
    line += text_of(experts["gating"]) + " scores";
    if (experts["has_selection_bias"] == true) line += " with a selection bias";
    if (experts["weights_norm"] == true) line += ", normalised";
    if (!experts["weights_scale"].is_null()) line += ", scaled by " + text_of(experts["weights_scale"]);
    if (!experts["leading_dense_layers"].is_null()) line += "; leading dense layers: " + text_of(experts["leading_dense_layers"]);
    return line;
}

}  // namespace

void ModelSummary::add_key(std::string_view key, Json value) { values_[std::string(key.substr(prefix_.size()))] = std::move(value); }

void ModelSummary::add_tensor(std::string_view name) {
    has_combined_kv_b_ |= name.ends_with(".attn_kv_b.weight");
    has_split_kv_b_ |= name.ends_with(".attn_k_b.weight");
    has_selection_bias_ |= name.ends_with(".exp_probs_b.bias");
}

Json ModelSummary::value(const char* key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? Json() : found->second;
}

Json ModelSummary::latent_attention() const {
    if (value("attention.kv_lora_rank").is_null()) return {};
    // Files with split projections have the lengths of the cache under the usual keys and those of the heads under these.
    const bool is_split = !value("attention.key_length_mla").is_null();
    const char* layout = has_combined_kv_b_ && has_split_kv_b_ ? "combined and split"
                         : has_combined_kv_b_                  ? "combined"
                         : has_split_kv_b_                     ? "split"
                                                               : "unknown";
    return Json{{"heads", value("attention.head_count")},
                {"q_lora_rank", value("attention.q_lora_rank")},
                {"kv_lora_rank", value("attention.kv_lora_rank")},
                {"rope_dimensions", value("rope.dimension_count")},
                {"key_length", value(is_split ? "attention.key_length_mla" : "attention.key_length")},
                {"value_length", value(is_split ? "attention.value_length_mla" : "attention.value_length")},
                {"layout", layout}};
}

Json ModelSummary::experts() const {
    if (value("expert_count").is_null() || value("expert_count") == 0) return {};
    const Json function = value("expert_gating_func");
    return Json{{"count", value("expert_count")},
                {"used", value("expert_used_count")},
                {"shared", value("expert_shared_count")},
                {"feed_forward_length", value("expert_feed_forward_length")},
                {"leading_dense_layers", value("leading_dense_block_count")},
                {"groups", value("expert_group_count")},
                {"groups_used", value("expert_group_used_count")},
                {"gating", function.is_null() ? Json() : Json(gating_name(function))},
                {"has_selection_bias", has_selection_bias_},
                {"weights_norm", value("expert_weights_norm")},
                {"weights_scale", value("expert_weights_scale")}};
}

std::vector<std::pair<std::string, std::string>> ModelSummary::lines() const {
    std::vector<std::pair<std::string, std::string>> lines;
    if (const Json latent = latent_attention(); !latent.is_null()) lines.emplace_back("attention", latent_line(latent));
    if (const Json all = experts(); !all.is_null()) lines.emplace_back("experts", expert_line(all));
    if (const Json layers = prediction_layers(); !layers.is_null() && layers != 0) {
        lines.emplace_back("prediction", "layers behind the others that predict the token after the next: " + text_of(layers));
    }
    return lines;
}

}  // namespace ponder::tool
