// SPDX-License-Identifier: Apache-2.0
// Reads and checks hyper-parameters; every error names the key, the value and the limit.
#include "model/hyper_parameters.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/limits.hpp"
#include "base/utf8.hpp"

namespace ponder {

namespace {

// Reads keys below one prefix; the first failure sticks, so that callers check once.
class KeyReader {
  public:
    KeyReader(const Metadata& metadata, std::string prefix) : metadata_(metadata), prefix_(std::move(prefix)) {}

    const std::optional<Error>& failure() const { return failure_; }
    void fail(Error error) {
        if (!failure_) failure_ = std::move(error);
    }

    // An integer in [low, high]; `fallback` if the key is absent, FORMAT if there is no fallback either.
    int64_t integer(const char* key, int64_t low, int64_t high, std::optional<int64_t> fallback = std::nullopt) {
        const std::string name = prefix_ + key;
        const auto value = metadata_.get_i64(name);
        if (!value) return fail(value.error()), low;
        if (!*value) return absent(name, fallback, low);
        return check_range(name, **value, low, high);
    }

    // A float in (low, high].
    float real(const char* key, float low, float high, std::optional<float> fallback = std::nullopt) {
        const std::string name = prefix_ + key;
        const auto value = metadata_.get_f32(name);
        if (!value) return fail(value.error()), high;
        if (!*value) return absent(name, fallback, high);
        if (!(**value > low && **value <= high)) {
            fail(make_error(PONDER_STATUS_FORMAT, "%s is %g, it must be above %g and at most %g", name.c_str(), double{**value},
                            double{low}, double{high}));
            return high;
        }
        return **value;
    }

    // One integer for all layers, or an array of one a layer.
    std::vector<int64_t> per_layer(const char* key, int64_t n_layers, int64_t low, int64_t high,
                                   const std::vector<int64_t>* fallback = nullptr) {
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

    std::string string(const char* key, const char* fallback) {
        const auto value = metadata_.get_string(prefix_ + key);
        if (!value) return fail(value.error()), fallback;
        return std::string(value->value_or(fallback));
    }

  private:
    template <class T>
    T absent(const std::string& name, std::optional<T> fallback, T otherwise) {
        if (fallback) return *fallback;
        fail(make_error(PONDER_STATUS_FORMAT, "%s is missing", name.c_str()));
        return otherwise;
    }

    int64_t check_range(const std::string& name, int64_t value, int64_t low, int64_t high) {
        if (value >= low && value <= high) return value;
        const ponder_status status = value > high ? PONDER_STATUS_LIMIT : PONDER_STATUS_FORMAT;
        fail(make_error(status, "%s is %lld, it must be %lld to %lld", name.c_str(), static_cast<long long>(value),
                        static_cast<long long>(low), static_cast<long long>(high)));
        return low;
    }

    const Metadata& metadata_;
    std::string prefix_;
    std::optional<Error> failure_;
};

void read_rope(KeyReader& keys, HyperParameters& h) {
    RopeParameters& rope = h.rope;
    rope.n_rot = static_cast<int32_t>(keys.integer("rope.dimension_count", 2, h.k_head_dim, h.k_head_dim));
    if (rope.n_rot % 2 != 0) {
        keys.fail(make_error(PONDER_STATUS_FORMAT, "%s.rope.dimension_count is %d, it must be even", h.architecture.c_str(), rope.n_rot));
    }
    rope.freq_base = keys.real("rope.freq_base", 0.0f, 1e12f, 10'000.0f);

    const std::string scaling = keys.string("rope.scaling.type", "");
    // Early files give a linear factor alone, under another name.
    const float legacy_factor = keys.real("rope.scale_linear", 0.0f, 1e6f, 1.0f);
    rope.factor = keys.real("rope.scaling.factor", 0.0f, 1e6f, legacy_factor);
    if (scaling == "yarn") {
        rope.scaling = RopeScaling::kYarn;
        rope.original_context = keys.integer("rope.scaling.original_context_length", 1, limits::kMaxContext, h.context_length);
        rope.attention_factor =
            keys.real("rope.scaling.attn_factor", 0.0f, 1e3f, 1.0f) * keys.real("rope.scaling.yarn_attn_factor", 0.0f, 1e3f, 1.0f);
        rope.ext_factor = keys.real("rope.scaling.yarn_ext_factor", -1e-6f, 1e3f, 1.0f);
        rope.beta_fast = keys.real("rope.scaling.yarn_beta_fast", 0.0f, 1e6f, 32.0f);
        rope.beta_slow = keys.real("rope.scaling.yarn_beta_slow", 0.0f, 1e6f, 1.0f);
    } else if (scaling == "linear" || (scaling.empty() && rope.factor != 1.0f)) {
        rope.scaling = RopeScaling::kLinear;
    } else if (!scaling.empty() && scaling != "none") {
        keys.fail(make_error(PONDER_STATUS_UNSUPPORTED, "%s.rope.scaling.type is '%s'; known are none, linear, yarn",
                             h.architecture.c_str(), printable(scaling).c_str()));
    }
}

}  // namespace

Result<HyperParameters> read_hyper_parameters(const Metadata& metadata, const std::string& architecture) {
    HyperParameters h;
    h.architecture = architecture;
    KeyReader general(metadata, "general.");
    h.name = general.string("name", "");

    KeyReader keys(metadata, architecture + ".");
    h.n_layers = keys.integer("block_count", 1, limits::kMaxLayers);
    h.n_embd = keys.integer("embedding_length", 1, limits::kMaxWidth);
    h.context_length = keys.integer("context_length", 1, limits::kMaxContext);
    h.rms_epsilon = keys.real("attention.layer_norm_rms_epsilon", 0.0f, 1.0f);
    if (keys.failure()) return *keys.failure();
    h.n_ff = keys.per_layer("feed_forward_length", h.n_layers, 1, limits::kMaxWidth);
    h.n_heads = keys.per_layer("attention.head_count", h.n_layers, 1, limits::kMaxHeads);
    h.n_kv_heads = keys.per_layer("attention.head_count_kv", h.n_layers, 1, limits::kMaxHeads, &h.n_heads);
    if (keys.failure()) return *keys.failure();

    for (size_t i = 0; i < h.n_heads.size(); i++) {
        if (h.n_heads[i] % h.n_kv_heads[i] != 0) {
            return make_error(PONDER_STATUS_FORMAT, "%s.attention.head_count %lld is not a multiple of head_count_kv %lld",
                              architecture.c_str(), static_cast<long long>(h.n_heads[i]), static_cast<long long>(h.n_kv_heads[i]));
        }
    }
    std::optional<int64_t> default_dim;
    if (h.n_embd % h.n_heads[0] == 0) default_dim = h.n_embd / h.n_heads[0];
    h.k_head_dim = keys.integer("attention.key_length", 1, limits::kMaxWidth, default_dim);
    h.v_head_dim = keys.integer("attention.value_length", 1, limits::kMaxWidth, default_dim);
    if (keys.failure()) return *keys.failure();
    for (const int64_t n_heads : h.n_heads) {
        if (n_heads * std::max(h.k_head_dim, h.v_head_dim) > limits::kMaxWidth) {
            return make_error(PONDER_STATUS_LIMIT, "%s.attention.head_count %lld times the head's length is over the limit of %lld",
                              architecture.c_str(), static_cast<long long>(n_heads), static_cast<long long>(limits::kMaxWidth));
        }
    }
    read_rope(keys, h);
    if (keys.failure()) return *keys.failure();
    if (general.failure()) return *general.failure();
    return h;
}

}  // namespace ponder
