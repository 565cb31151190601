// SPDX-License-Identifier: Apache-2.0
// Llama, Qwen2, Qwen3, DeepSeek-V2 and -V3 in float64: plain loops, keys and values of latent attention in their expanded form.
#include "hf_reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace ponder_test {

namespace {

using nlohmann::json;
using Rows = std::vector<std::vector<double>>;  // [n_tokens][width]

struct Rope {
    std::vector<double> frequencies;  // radians a position, one a pair
    double magnitude = 1.0;           // of cosine and sine
    bool is_interleaved = false;      // pairs are neighbours (DeepSeek); else element i goes with i + half
};

// Llama 3.1: long waves are slowed by the factor, short ones are kept, those between are blended.
double llama3_frequency(double frequency, const json& scaling) {
    const double original = scaling["original_max_position_embeddings"], wavelength = 2.0 * std::numbers::pi / frequency;
    const double low = scaling["low_freq_factor"], high = scaling["high_freq_factor"], factor = scaling["factor"];
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    const double share = (original / wavelength - low) / (high - low);
    return (1.0 - share) * frequency / factor + share * frequency;
}

double yarn_magnitude(double factor, double mscale) { return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

// YaRN (Peng et al. 2023), section 3.2 as Hugging Face and DeepSeek implement it: a linear ramp over pair numbers, its ends rounded
// outwards.
void apply_yarn(Rope& rope, double theta, const json& scaling) {
    const double n_rot = 2.0 * static_cast<double>(rope.frequencies.size());
    const double original = scaling["original_max_position_embeddings"], factor = scaling["factor"];
    const auto pair_of = [&](double n_rotations) {
        return n_rot * std::log(original / (n_rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(theta));
    };
    const double low = std::max(std::floor(pair_of(scaling.value("beta_fast", 32.0))), 0.0);
    double high = std::min(std::ceil(pair_of(scaling.value("beta_slow", 1.0))), n_rot - 1.0);
    if (low == high) high += 0.001;
    for (size_t i = 0; i < rope.frequencies.size(); i++) {
        const double slowed = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        rope.frequencies[i] *= slowed / factor + (1.0 - slowed);
    }
    const double mscale = scaling.value("mscale", 0.0), mscale_all = scaling.value("mscale_all_dim", 0.0);
    rope.magnitude = yarn_magnitude(factor, 1.0);
    if (mscale != 0.0 && mscale_all != 0.0) rope.magnitude = yarn_magnitude(factor, mscale) / yarn_magnitude(factor, mscale_all);
    rope.magnitude = scaling.value("attention_factor", rope.magnitude);
}

// Since transformers 5, rope_parameters holds the base as well. Null: no scaling.
json rope_scaling(const json& config) { return config.value("rope_parameters", config.value("rope_scaling", json())); }

std::string scaling_type(const json& config) {
    const json scaling = rope_scaling(config);
    if (scaling.is_null()) return "none";
    return scaling.contains("rope_type") ? scaling["rope_type"] : scaling["type"];
}

Rope make_rope(const json& config, int64_t n_rot, bool is_interleaved) {
    Rope rope;
    rope.is_interleaved = is_interleaved;
    const json scaling = rope_scaling(config);
    const double theta = scaling.contains("rope_theta") ? scaling["rope_theta"] : config["rope_theta"];
    const std::string type = scaling_type(config);
    for (int64_t i = 0; i < n_rot / 2; i++) {
        double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(n_rot));
        if (type == "llama3") frequency = llama3_frequency(frequency, scaling);
        if (type == "linear") frequency /= scaling["factor"].get<double>();
        rope.frequencies.push_back(frequency);
    }
    if (type == "yarn") apply_yarn(rope, theta, scaling);
    return rope;
}

void rotate(const Rope& rope, double position, double* v) {
    const size_t half = rope.frequencies.size();
    for (size_t i = 0; i < half; i++) {
        const double c = std::cos(position * rope.frequencies[i]) * rope.magnitude,
                     s = std::sin(position * rope.frequencies[i]) * rope.magnitude;
        double& a = v[rope.is_interleaved ? 2 * i : i];
        double& b = v[rope.is_interleaved ? 2 * i + 1 : i + half];
        const double rotated = a * c - b * s;
        b = b * c + a * s;
        a = rotated;
    }
}

void soften(std::vector<double>& x) {
    const double largest = *std::max_element(x.begin(), x.end());
    double sum = 0.0;
    for (double& v : x) sum += v = std::exp(v - largest);
    for (double& v : x) v /= sum;
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// Indices of the `n` largest scores; lowers `margin` to the gap behind the last of them.
std::vector<size_t> choose_largest(const std::vector<double>& scores, size_t n, double& margin) {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    if (n < order.size()) margin = std::min(margin, scores[order[n - 1]] - scores[order[n]]);
    order.resize(n);
    return order;
}

class Reference {
  public:
    explicit Reference(const HfModel& model) : model_(model), c_(model.config) {
        is_latent_ = c_.contains("kv_lora_rank");
        n_heads_ = size("num_attention_heads");
        head_dim_ = static_cast<size_t>(c_.value("head_dim", static_cast<int64_t>(size("hidden_size") / n_heads_)));
        rope_ = make_rope(c_, static_cast<int64_t>(is_latent_ ? size("qk_rope_head_dim") : head_dim_), is_latent_);
    }

    HfLogits run(const std::vector<int32_t>& tokens) {
        const HfMatrix& embedding = tensor("model.embed_tokens.weight");
        Rows x;
        for (const int32_t token : tokens) {
            const float* row = embedding.values.data() + token * embedding.cols;
            x.emplace_back(row, row + embedding.cols);
        }
        for (size_t layer = 0; layer < size("num_hidden_layers"); layer++) {
            const std::string prefix = "model.layers." + std::to_string(layer) + ".";
            const Rows attended = normalise(x, prefix + "input_layernorm");
            add(x, is_latent_ ? latent_attention(attended, prefix + "self_attn.") : dense_attention(attended, prefix + "self_attn."));
            const Rows normal = normalise(x, prefix + "post_attention_layernorm");
            const bool has_experts = is_latent_ && layer >= size("first_k_dense_replace");
            add(x, has_experts ? mix_experts(normal, prefix + "mlp.") : feed_forward(normal, prefix + "mlp."));
        }
        const Rows logits = multiply(normalise(x, "model.norm"), c_["tie_word_embeddings"].get<bool>() ? "model.embed_tokens" : "lm_head");
        HfLogits out{{}, margin_};
        for (const auto& row : logits) out.values.insert(out.values.end(), row.begin(), row.end());
        return out;
    }

  private:
    size_t size(const char* key) const { return c_[key].get<size_t>(); }
    const HfMatrix& tensor(const std::string& name) const { return model_.tensors.at(name); }

    static void add(Rows& x, const Rows& y) {
        for (size_t t = 0; t < x.size(); t++) {
            for (size_t i = 0; i < x[t].size(); i++) x[t][i] += y[t][i];
        }
    }

    // A linear layer, with its bias if it has one.
    Rows multiply(const Rows& x, const std::string& name) const {
        const HfMatrix& w = tensor(name + ".weight");
        const auto bias = model_.tensors.find(name + ".bias");
        Rows y(x.size(), std::vector<double>(static_cast<size_t>(w.rows)));
        for (size_t t = 0; t < x.size(); t++) {
            for (size_t r = 0; r < y[t].size(); r++) {
                const float* row = w.values.data() + static_cast<int64_t>(r) * w.cols;
                double sum = bias == model_.tensors.end() ? 0.0 : static_cast<double>(bias->second.values[r]);
                for (size_t i = 0; i < x[t].size(); i++) sum += static_cast<double>(row[i]) * x[t][i];
                y[t][r] = sum;
            }
        }
        return y;
    }

    // RMSNorm of each run of as many elements as the weight has: whole rows, or the heads of a row.
    Rows normalise(const Rows& x, const std::string& name) const {
        const std::vector<float>& weight = tensor(name + ".weight").values;
        const double epsilon = c_["rms_norm_eps"];
        Rows y = x;
        for (auto& row : y) {
            for (size_t start = 0; start < row.size(); start += weight.size()) {
                double squares = 0.0;
                for (size_t i = 0; i < weight.size(); i++) squares += row[start + i] * row[start + i];
                const double scale = 1.0 / std::sqrt(squares / static_cast<double>(weight.size()) + epsilon);
                for (size_t i = 0; i < weight.size(); i++) row[start + i] *= scale * static_cast<double>(weight[i]);
            }
        }
        return y;
    }

    // Rotates the last elements of each head of `head_dim`.
    void rotate_heads(Rows& x, size_t head_dim) const {
        const size_t n_rot = 2 * rope_.frequencies.size();
        for (size_t t = 0; t < x.size(); t++) {
            for (size_t end = head_dim; end <= x[t].size(); end += head_dim) rotate(rope_, static_cast<double>(t), &x[t][end - n_rot]);
        }
    }

    // Causal softmax attention of q [n_heads, k_dim] over k [n_kv, k_dim] and v [n_kv, v_dim].
    Rows attend(const Rows& q, const Rows& k, const Rows& v, size_t n_kv, double scale) const {
        const size_t k_dim = q[0].size() / n_heads_, v_dim = v[0].size() / n_kv;
        Rows out(q.size(), std::vector<double>(n_heads_ * v_dim, 0.0));
        for (size_t t = 0; t < q.size(); t++) {
            for (size_t h = 0; h < n_heads_; h++) {
                const size_t kv = h / (n_heads_ / n_kv);
                std::vector<double> weights(t + 1, 0.0);
                for (size_t s = 0; s <= t; s++) {
                    for (size_t i = 0; i < k_dim; i++) weights[s] += q[t][h * k_dim + i] * k[s][kv * k_dim + i];
                    weights[s] *= scale;
                }
                soften(weights);
                for (size_t s = 0; s <= t; s++) {
                    for (size_t i = 0; i < v_dim; i++) out[t][h * v_dim + i] += weights[s] * v[s][kv * v_dim + i];
                }
            }
        }
        return out;
    }

    Rows dense_attention(const Rows& x, const std::string& prefix) const {
        Rows q = multiply(x, prefix + "q_proj"), k = multiply(x, prefix + "k_proj");
        if (model_.tensors.contains(prefix + "q_norm.weight")) {
            q = normalise(q, prefix + "q_norm");
            k = normalise(k, prefix + "k_norm");
        }
        rotate_heads(q, head_dim_);
        rotate_heads(k, head_dim_);
        const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim_));
        return multiply(attend(q, k, multiply(x, prefix + "v_proj"), size("num_key_value_heads"), scale), prefix + "o_proj");
    }

    // DeepSeek-V2 (2024), section 2.1: one latent a token, from which every head's key and value are made; the rotated part of the key is
    // shared by all heads.
    Rows latent_attention(const Rows& x, const std::string& prefix) const {
        const size_t nope = size("qk_nope_head_dim"), rope = size("qk_rope_head_dim"), v_dim = size("v_head_dim"),
                     rank = size("kv_lora_rank");
        Rows q = c_["q_lora_rank"].is_null()
                     ? multiply(x, prefix + "q_proj")
                     : multiply(normalise(multiply(x, prefix + "q_a_proj"), prefix + "q_a_layernorm"), prefix + "q_b_proj");
        rotate_heads(q, nope + rope);
        Rows latent = multiply(x, prefix + "kv_a_proj_with_mqa");  // [rank + rope]
        rotate_heads(latent, rank + rope);
        Rows shared;
        for (auto& row : latent) {
            shared.emplace_back(row.begin() + static_cast<std::ptrdiff_t>(rank), row.end());
            row.resize(rank);
        }
        const Rows expanded = multiply(normalise(latent, prefix + "kv_a_layernorm"), prefix + "kv_b_proj");  // [n_heads, nope + v_dim]
        Rows k(x.size()), v(x.size());
        for (size_t t = 0; t < x.size(); t++) {
            for (size_t h = 0; h < n_heads_; h++) {
                const double* head = &expanded[t][h * (nope + v_dim)];
                k[t].insert(k[t].end(), head, head + nope);
                k[t].insert(k[t].end(), shared[t].begin(), shared[t].end());
                v[t].insert(v[t].end(), head + nope, head + nope + v_dim);
            }
        }
        return multiply(attend(q, k, v, n_heads_, latent_scale(nope + rope)), prefix + "o_proj");
    }

    double latent_scale(size_t k_dim) const {
        const double scale = 1.0 / std::sqrt(static_cast<double>(k_dim));
        if (scaling_type(c_) != "yarn") return scale;
        const json scaling = rope_scaling(c_);
        const double all = scaling.value("mscale_all_dim", 0.0);
        const double m = all == 0.0 ? 1.0 : yarn_magnitude(scaling["factor"], all);
        return scale * m * m;
    }

    Rows feed_forward(const Rows& x, const std::string& prefix) const {
        Rows gate = multiply(x, prefix + "gate_proj");
        const Rows up = multiply(x, prefix + "up_proj");
        for (size_t t = 0; t < gate.size(); t++) {
            for (size_t i = 0; i < gate[t].size(); i++) gate[t][i] *= sigmoid(gate[t][i]) * up[t][i];
        }
        return multiply(gate, prefix + "down_proj");
    }

    // DeepSeek-V3 (2024), section 2.1.2: groups of experts are ranked by the sum of their two best; those outside the best groups are out.
    void keep_best_groups(std::vector<double>& choice) {
        const size_t n_groups = size("n_group"), n = choice.size() / n_groups;
        std::vector<double> scores(n_groups);
        for (size_t g = 0; g < n_groups; g++) {
            std::vector<double> group(choice.begin() + static_cast<std::ptrdiff_t>(g * n),
                                      choice.begin() + static_cast<std::ptrdiff_t>((g + 1) * n));
            std::sort(group.rbegin(), group.rend());
            scores[g] = group[0] + group[1];
        }
        const std::vector<size_t> kept = choose_largest(scores, size("topk_group"), margin_);
        for (size_t g = 0; g < n_groups; g++) {
            if (std::find(kept.begin(), kept.end(), g) != kept.end()) continue;
            std::fill_n(choice.begin() + static_cast<std::ptrdiff_t>(g * n), n, -std::numeric_limits<double>::infinity());
        }
    }

    Rows mix_experts(const Rows& x, const std::string& prefix) {
        Rows y = feed_forward(x, prefix + "shared_experts.");
        const Rows logits = multiply(x, prefix + "gate");
        const bool is_sigmoid = c_["scoring_func"] == "sigmoid";
        for (size_t t = 0; t < x.size(); t++) {
            std::vector<double> scores = logits[t];
            if (is_sigmoid) std::transform(scores.begin(), scores.end(), scores.begin(), sigmoid);
            if (!is_sigmoid) soften(scores);
            std::vector<double> choice = scores;
            if (c_["topk_method"] == "noaux_tc") {
                const std::vector<float>& correction = tensor(prefix + "gate.e_score_correction_bias").values;
                for (size_t e = 0; e < choice.size(); e++) choice[e] += static_cast<double>(correction[e]);
                keep_best_groups(choice);
            }
            const std::vector<size_t> chosen = choose_largest(choice, size("num_experts_per_tok"), margin_);
            double sum = 0.0;
            for (const size_t e : chosen) sum += scores[e];
            const double scale = c_["routed_scaling_factor"].get<double>() / (c_["norm_topk_prob"].get<bool>() ? sum : 1.0);
            for (const size_t e : chosen) {
                const Rows part = feed_forward({x[t]}, prefix + "experts." + std::to_string(e) + ".");
                for (size_t i = 0; i < y[t].size(); i++) y[t][i] += scores[e] * scale * part[0][i];
            }
        }
        return y;
    }

    const HfModel& model_;
    const json& c_;
    bool is_latent_ = false;
    size_t n_heads_ = 0, head_dim_ = 0;
    Rope rope_;
    double margin_ = std::numeric_limits<double>::infinity();
};

}  // namespace

HfLogits reference_logits(const HfModel& model, const std::vector<int32_t>& tokens) { return Reference(model).run(tokens); }

}  // namespace ponder_test
