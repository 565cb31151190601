// SPDX-License-Identifier: Apache-2.0
// The rules of the mixes, as the field's quantiser applies them to dense models without an importance matrix.
#include "runtime/synth_mix.hpp"

#include <algorithm>
#include <string>

#include "quant/quant.hpp"

namespace ponder::synth {
namespace {

constexpr TypeMix kMixes[] = {
    {"F32", 0, "F32"},    {"F16", 1, "F16"},        {"BF16", 32, "BF16"},     {"Q8_0", 7, "Q8_0"},    {"Q4_0", 2, "Q4_0"},
    {"Q6_K", 18, "Q6_K"}, {"Q5_K_M", 17, "Q5_K"},   {"Q4_K_M", 15, "Q4_K"},   {"Q4_K_S", 14, "Q4_K"}, {"Q3_K_M", 12, "Q3_K"},
    {"Q2_K", 10, "Q2_K"}, {"IQ4_NL", 25, "IQ4_NL"}, {"IQ4_XS", 30, "IQ4_XS"},
};

// For rows that are not whole super-blocks of 256, as the field's quantiser replaces types.
constexpr const char* kFallbacks[][2] = {
    {"Q2_K", "IQ4_NL"}, {"Q3_K", "IQ4_NL"}, {"IQ4_XS", "IQ4_NL"}, {"Q4_K", "Q5_0"}, {"Q5_K", "Q5_1"}, {"Q6_K", "Q8_0"},
};

// For which layers a rule holds, of n.
enum class LayerSet {
    kAll,
    kFirstTwo,
    kFirstFour,
    kFirstSixteenth,
    kFirstEighth,
    kMoreBits,     // the first and last eighth, and every third layer between
    kAllIfShared,  // all, if at least four query heads share a key-value head: attn_v is then small and its bits are cheap
};

struct MixRule {
    const char* mix;
    TensorRole role;
    LayerSet layers;
    const char* type;
};

// The first rule that fits a tensor decides; then come the general ones of type_of().
constexpr MixRule kRules[] = {
    {"Q5_K_M", TensorRole::kAttnV, LayerSet::kMoreBits, "Q6_K"},
    {"Q5_K_M", TensorRole::kFfnDown, LayerSet::kMoreBits, "Q6_K"},
    {"Q4_K_M", TensorRole::kAttnV, LayerSet::kMoreBits, "Q6_K"},
    {"Q4_K_M", TensorRole::kFfnDown, LayerSet::kMoreBits, "Q6_K"},
    {"Q4_K_S", TensorRole::kAttnV, LayerSet::kFirstFour, "Q5_K"},
    {"Q4_K_S", TensorRole::kFfnDown, LayerSet::kFirstEighth, "Q5_K"},
    {"Q3_K_M", TensorRole::kAttnV, LayerSet::kFirstTwo, "Q5_K"},
    {"Q3_K_M", TensorRole::kAttnV, LayerSet::kAll, "Q4_K"},
    {"Q3_K_M", TensorRole::kFfnDown, LayerSet::kFirstSixteenth, "Q5_K"},
    {"Q3_K_M", TensorRole::kFfnDown, LayerSet::kAll, "Q4_K"},
    {"Q3_K_M", TensorRole::kAttnOutput, LayerSet::kAll, "Q4_K"},
    {"Q2_K", TensorRole::kAttnV, LayerSet::kAllIfShared, "Q4_K"},
    {"Q2_K", TensorRole::kAttnV, LayerSet::kAll, "Q3_K"},
    {"Q2_K", TensorRole::kFfnDown, LayerSet::kAll, "Q3_K"},
    {"Q2_K", TensorRole::kAttnOutput, LayerSet::kAll, "Q3_K"},
    {"IQ4_NL", TensorRole::kAttnV, LayerSet::kAllIfShared, "Q5_K"},
    {"IQ4_NL", TensorRole::kFfnDown, LayerSet::kFirstEighth, "Q5_K"},
    {"IQ4_XS", TensorRole::kAttnV, LayerSet::kAllIfShared, "Q5_K"},
    {"IQ4_XS", TensorRole::kFfnDown, LayerSet::kFirstEighth, "Q5_K"},
};

bool contains(LayerSet set, int32_t layer, int32_t n_layers, const SynthShape& shape) {
    const int32_t eighth = n_layers / 8;
    switch (set) {
        case LayerSet::kAll:
            return true;
        case LayerSet::kFirstTwo:
            return layer < 2;
        case LayerSet::kFirstFour:
            return layer < 4;
        case LayerSet::kFirstSixteenth:
            return layer < n_layers / 16;
        case LayerSet::kFirstEighth:
            return layer < eighth;
        case LayerSet::kMoreBits:
            return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
        case LayerSet::kAllIfShared:
            return shape.n_heads / shape.n_kv_heads >= 4;
    }
    return false;
}

std::string_view type_of(const TypeMix& mix, const SynthShape& shape, int32_t n_layers, const SynthTensor& tensor) {
    const std::string_view base = mix.base_type;
    const bool is_float = base == "F32" || base == "F16" || base == "BF16";
    if (tensor.role == TensorRole::kOutput && !is_float && base != "Q8_0") {
        return tensor.n_cols % find_quant_type("Q6_K")->block_len == 0 ? "Q6_K" : "Q8_0";
    }
    std::string_view type = base;
    for (const MixRule& rule : kRules) {
        if (rule.role == tensor.role && mix.name == std::string_view(rule.mix) && contains(rule.layers, tensor.layer, n_layers, shape)) {
            type = rule.type;
            break;
        }
    }
    // Models of 80 layers are the 70B ones, where eight query heads share each row of attn_v.
    if (tensor.role == TensorRole::kAttnV && n_layers == 80 && (type == "Q3_K" || type == "Q4_K")) type = "Q5_K";
    return type;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (upper(a[i]) != upper(b[i])) return false;
    }
    return true;
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

Result<void> assign_types(const TypeMix& mix, const SynthShape& shape, int32_t n_layers, std::span<SynthTensor> tensors) {
    for (SynthTensor& tensor : tensors) {
        if (tensor.is_float_only()) continue;
        const QuantType* type = find_quant_type(type_of(mix, shape, n_layers, tensor));
        for (const auto& [from, to] : kFallbacks) {
            if (tensor.n_cols % type->block_len != 0 && type->name == std::string_view(from)) type = find_quant_type(std::string_view(to));
        }
        if (type->encode == nullptr) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "type mix %s needs %s, which cannot be encoded", mix.name, type->name);
        }
        if (tensor.n_cols % type->block_len != 0) {
            return make_error(PONDER_STATUS_UNSUPPORTED,
                              "type mix %s does not fit shape %s: tensor \"%s\" has rows of %lld, %s takes multiples of %u", mix.name,
                              shape.name, tensor.name.c_str(), static_cast<long long>(tensor.n_cols), type->name, type->block_len);
        }
        tensor.type = type->id;
    }
    return {};
}

}  // namespace ponder::synth
