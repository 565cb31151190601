// SPDX-License-Identifier: Apache-2.0
// The rules of the mixes, as the field's quantiser (llama.cpp's llama-quantize) applies them.
#include "runtime/type_mix.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string>

#include "base/limits.hpp"

namespace ponder {
namespace {

// MXFP4's file type stands for models of experts: those alone get MXFP4 and all else Q8_0 (see type_of).
constexpr TypeMix kMixes[] = {
    {"F32", 0, "F32"},    {"F16", 1, "F16"},        {"BF16", 32, "BF16"},     {"Q8_0", 7, "Q8_0"},    {"Q4_0", 2, "Q4_0"},
    {"Q6_K", 18, "Q6_K"}, {"Q5_K_M", 17, "Q5_K"},   {"Q4_K_M", 15, "Q4_K"},   {"Q4_K_S", 14, "Q4_K"}, {"Q3_K_M", 12, "Q3_K"},
    {"Q2_K", 10, "Q2_K"}, {"IQ4_NL", 25, "IQ4_NL"}, {"IQ4_XS", 30, "IQ4_XS"}, {"MXFP4", 38, "MXFP4"},
};

// When a rule holds, for layer i of n.
enum class Condition {
    kAlways,
    kFirstTwo,
    kFirstFour,
    kFirstSixteenth,
    kFirstEighth,
    kFirstEighthPlain,     // without an importance matrix only
    kFirstEighthWeighted,  // with one only
    kMoreBits,             // the first and last eighth, and every third layer between
    kShared,               // at least four query heads share a key-value head: attn_v is then small and its bits are cheap
    kEightExperts,         // models like Mixtral 8x7B, whose attention is small beside the experts
};

struct MixRule {
    const char* mix;  // null: every mix that quantises, except MXFP4
    TensorRole role;
    Condition condition;
    const char* type;
};

// The first rule that fits a tensor decides; without one it gets the base type. Embedding and output have rules of their own below.
constexpr MixRule kRules[] = {
    {nullptr, TensorRole::kAttnV, Condition::kEightExperts, "Q8_0"},
    {nullptr, TensorRole::kAttnK, Condition::kEightExperts, "Q8_0"},
    {"Q5_K_M", TensorRole::kAttnV, Condition::kMoreBits, "Q6_K"},
    {"Q5_K_M", TensorRole::kFfnDown, Condition::kMoreBits, "Q6_K"},
    {"Q4_K_M", TensorRole::kAttnV, Condition::kMoreBits, "Q6_K"},
    {"Q4_K_M", TensorRole::kFfnDown, Condition::kMoreBits, "Q6_K"},
    {"Q4_K_M", TensorRole::kAttnOutput, Condition::kEightExperts, "Q5_K"},
    {"Q4_K_S", TensorRole::kAttnV, Condition::kFirstFour, "Q5_K"},
    {"Q4_K_S", TensorRole::kFfnDown, Condition::kFirstEighth, "Q5_K"},
    {"Q4_K_S", TensorRole::kAttnOutput, Condition::kEightExperts, "Q5_K"},
    {"Q3_K_M", TensorRole::kAttnV, Condition::kFirstTwo, "Q5_K"},
    {"Q3_K_M", TensorRole::kAttnV, Condition::kAlways, "Q4_K"},
    {"Q3_K_M", TensorRole::kFfnDown, Condition::kFirstSixteenth, "Q5_K"},
    {"Q3_K_M", TensorRole::kFfnDown, Condition::kAlways, "Q4_K"},
    {"Q3_K_M", TensorRole::kAttnOutput, Condition::kEightExperts, "Q5_K"},
    {"Q3_K_M", TensorRole::kAttnOutput, Condition::kAlways, "Q4_K"},
    {"Q2_K", TensorRole::kAttnV, Condition::kShared, "Q4_K"},
    {"Q2_K", TensorRole::kAttnV, Condition::kAlways, "Q3_K"},
    {"Q2_K", TensorRole::kFfnDown, Condition::kAlways, "Q3_K"},
    {"Q2_K", TensorRole::kAttnOutput, Condition::kEightExperts, "Q5_K"},
    {"Q2_K", TensorRole::kAttnOutput, Condition::kAlways, "Q3_K"},
    {"IQ4_NL", TensorRole::kAttnV, Condition::kShared, "Q5_K"},
    {"IQ4_NL", TensorRole::kFfnDown, Condition::kFirstEighthPlain, "Q5_K"},
    {"IQ4_NL", TensorRole::kAttnOutput, Condition::kEightExperts, "Q5_K"},
    {"IQ4_XS", TensorRole::kAttnV, Condition::kShared, "Q5_K"},
    {"IQ4_XS", TensorRole::kFfnDown, Condition::kFirstEighthPlain, "Q5_K"},
    {"IQ4_XS", TensorRole::kAttnOutput, Condition::kEightExperts, "Q5_K"},
    // An importance matrix makes 4 bits without a minimum err wildly in the first layers of ffn_down.
    {"Q4_0", TensorRole::kFfnDown, Condition::kFirstEighthWeighted, "Q4_1"},
};

// Where rows are no whole blocks of a type: the next best one of 32. Where they are not whole blocks of that either: F16.
struct Fallback {
    const char* from;
    const char* to;
};
constexpr Fallback kFallbacks[] = {{"Q2_K", "Q4_0"}, {"Q3_K", "Q4_0"}, {"Q4_K", "Q5_0"},
                                   {"Q5_K", "Q5_1"}, {"Q6_K", "Q8_0"}, {"IQ4_XS", "IQ4_NL"}};

struct NamedRole {
    std::string_view name;  // without "blk.N." and ".weight"
    TensorRole role;
};
constexpr NamedRole kLayerRoles[] = {
    {"attn_q", TensorRole::kAttnQ},
    {"attn_k", TensorRole::kAttnK},
    {"attn_v", TensorRole::kAttnV},
    {"attn_qkv", TensorRole::kAttnV},  // the three in one: as precise as its most sensitive part
    {"attn_output", TensorRole::kAttnOutput},
    {"attn_q_a", TensorRole::kLatentQA},
    {"attn_q_b", TensorRole::kLatentQB},
    {"attn_kv_a_mqa", TensorRole::kLatentKvA},
    {"attn_kv_b", TensorRole::kLatentKvB},
    {"attn_k_b", TensorRole::kLatentKB},
    {"attn_v_b", TensorRole::kLatentVB},
    {"ffn_gate_inp", TensorRole::kRouter},
    {"ffn_gate", TensorRole::kFfnGate},
    {"ffn_up", TensorRole::kFfnUp},
    {"ffn_down", TensorRole::kFfnDown},
    {"ffn_gate_exps", TensorRole::kFfnGateExperts},
    {"ffn_up_exps", TensorRole::kFfnUpExperts},
    {"ffn_gate_up_exps", TensorRole::kFfnUpExperts},
    {"ffn_down_exps", TensorRole::kFfnDownExperts},
    {"ffn_gate_shexp", TensorRole::kFfnGateShared},
    {"ffn_up_shexp", TensorRole::kFfnUpShared},
    {"ffn_down_shexp", TensorRole::kFfnDownShared},
};

// Small matrices of other architectures that no kernel takes quantised.
constexpr std::string_view kUnquantisedParts[] = {"_norm.weight", "ssm_conv1d", "shortconv.conv", "altup",       "laurel",
                                                  "time_mix_",    "rel_b",      "position_embd",  "token_types", "per_layer_model_proj"};

bool holds(Condition condition, const MixModel& model, int32_t layer) {
    const int32_t eighth = model.n_layers / 8;
    switch (condition) {
        case Condition::kAlways:
            return true;
        case Condition::kFirstTwo:
            return layer < 2;
        case Condition::kFirstFour:
            return layer < 4;
        case Condition::kFirstSixteenth:
            return layer < model.n_layers / 16;
        case Condition::kFirstEighth:
            return layer < eighth;
        case Condition::kFirstEighthPlain:
            return layer < eighth && !model.has_importance;
        case Condition::kFirstEighthWeighted:
            return layer < eighth && model.has_importance;
        case Condition::kMoreBits:
            return layer < eighth || layer >= 7 * model.n_layers / 8 || (layer - eighth) % 3 == 2;
        case Condition::kShared:
            return model.n_heads / std::max(model.n_kv_heads, 1) >= 4;
        case Condition::kEightExperts:
            return model.n_experts == 8;
    }
    return false;
}

bool is_expert(TensorRole role) {
    return role == TensorRole::kFfnGateExperts || role == TensorRole::kFfnUpExperts || role == TensorRole::kFfnDownExperts;
}

// The role whose rules hold for another.
TensorRole ruling_role(TensorRole role) {
    if (role == TensorRole::kFfnDownExperts || role == TensorRole::kFfnDownShared) return TensorRole::kFfnDown;
    return role == TensorRole::kLatentKvB ? TensorRole::kAttnV : role;
}

// Experts are nearly all of a model that has them; what every token passes through stays at 8 bits beside them. Models without experts
// have nothing else to make small, so there it is every matrix of a layer. (llama.cpp leaves such models at 8 bits, and counts the
// attn_k_b and attn_v_b of latent attention as experts because they have three dimensions.)
std::string_view mxfp4_type_of(const MixModel& model, const TensorPlace& place) {
    const bool is_small = model.n_experts > 1 ? is_expert(place.role) : place.layer >= 0;
    return is_small ? "MXFP4" : "Q8_0";
}

std::string_view type_of(const TypeMix& mix, const MixModel& model, const TensorPlace& place, int64_t n_cols) {
    const QuantType& base = *find_quant_type(mix.base_type);
    if (base.block_len == 1) return base.name;
    if (mix.name == std::string_view("MXFP4")) return mxfp4_type_of(model, place);
    if (place.role == TensorRole::kOutput || (place.role == TensorRole::kTokenEmbedding && !model.has_output)) {
        return base.name == std::string_view("Q8_0") || n_cols % base.block_len != 0 ? "Q8_0" : "Q6_K";
    }
    std::string_view type = base.name;
    const TensorRole role = ruling_role(place.role);
    for (const MixRule& rule : kRules) {
        if (rule.role != role || (rule.mix != nullptr && rule.mix != std::string_view(mix.name))) continue;
        if (!holds(rule.condition, model, place.layer)) continue;
        type = rule.type;
        break;
    }
    // Models of 80 layers are the 70B ones, where eight query heads share each row of attn_v.
    const bool is_70b = model.n_layers == 80 && model.n_heads != model.n_kv_heads;
    if (role == TensorRole::kAttnV && is_70b && (type == "Q3_K" || type == "Q4_K")) type = "Q5_K";
    return type;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return upper(x) == upper(y); });
}

}  // namespace

std::span<const TypeMix> type_mixes() { return kMixes; }

Result<const TypeMix*> find_type_mix(std::string_view name) {
    std::string names;
    for (const TypeMix& mix : kMixes) {
        if (equals_ignoring_case(name, mix.name)) return &mix;
        names += std::string(names.empty() ? "" : ", ") + mix.name;
    }
    const int shown = static_cast<int>(std::min<size_t>(name.size(), 100));
    return make_error(PONDER_STATUS_UNSUPPORTED, "no type mix \"%.*s\"; there are %s", shown, name.data(), names.c_str());
}

TensorPlace place_of(std::string_view name, int n_dims) {
    TensorPlace place;
    std::string_view part = name;
    if (part.starts_with("blk.")) {
        const char* begin = part.data() + 4;
        const char* end = part.data() + part.size();
        const auto [after, problem] = std::from_chars(begin, end, place.layer);
        if (problem != std::errc() || after == end || *after != '.' || place.layer < 0 || place.layer >= limits::kMaxLayers) {
            return {};
        }
        part.remove_prefix(static_cast<size_t>(after + 1 - part.data()));
    }
    if (name == "rope_freqs.weight") return {TensorRole::kRopeFactors, -1};
    if (part.ends_with(".bias")) return {TensorRole::kBias, place.layer};
    if (part.ends_with("norm.weight")) return {TensorRole::kNorm, place.layer};
    if (!part.ends_with(".weight") || n_dims < 2) return place;
    const auto is_in_name = [&](std::string_view piece) { return name.find(piece) != std::string_view::npos; };
    if (std::any_of(std::begin(kUnquantisedParts), std::end(kUnquantisedParts), is_in_name)) return place;

    part.remove_suffix(std::string_view(".weight").size());
    if (part.data() == name.data()) {
        place.role = part == "token_embd" ? TensorRole::kTokenEmbedding : part == "output" ? TensorRole::kOutput : TensorRole::kOtherMatrix;
        return place;
    }
    const auto* row =
        std::find_if(std::begin(kLayerRoles), std::end(kLayerRoles), [&](const NamedRole& known) { return known.name == part; });
    place.role = row != std::end(kLayerRoles) ? row->role : TensorRole::kOtherMatrix;
    return place;
}

bool is_quantised_role(TensorRole role) {
    return role != TensorRole::kRouter && role != TensorRole::kNorm && role != TensorRole::kBias && role != TensorRole::kRopeFactors &&
           role != TensorRole::kOther;
}

TypeChoice choose_type(const TypeMix& mix, const MixModel& model, const TensorPlace& place, int64_t n_cols) {
    const QuantType* wanted = find_quant_type(type_of(mix, model, place, n_cols));
    if (n_cols % wanted->block_len == 0) return {wanted, wanted};
    const auto* row = std::find_if(std::begin(kFallbacks), std::end(kFallbacks),
                                   [&](const Fallback& fallback) { return fallback.from == std::string_view(wanted->name); });
    const QuantType* type = row != std::end(kFallbacks) ? find_quant_type(row->to) : wanted;
    if (n_cols % type->block_len != 0) type = find_quant_type("F16");
    return {type, wanted};
}

}  // namespace ponder
