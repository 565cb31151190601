// SPDX-License-Identifier: Apache-2.0
// Rotary scalings of config.json: linear, YaRN (arXiv 2309.00071) and Llama 3's correction by wavelength.
#include <cmath>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "format/json_fields.hpp"
#include "model/rope.hpp"
#include "runtime/hf_config.hpp"

namespace ponder::hf {
namespace {

using Json = nlohmann::json;

constexpr double kMaxFactor = 1e6;

// YaRN's growth of attention with the stretch of positions.
double magnitude(double factor, double weight) { return factor <= 1.0 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0; }

class RopeReader {
  public:
    RopeReader(const Json& json, const Json& scaling, const char* name, Config& config, Metadata& metadata)
        : root_(json), fields_(scaling, std::string(name) + "."), config_(config), metadata_(metadata) {}

    Result<void> read() {
        // The newer layout has everything in one object.
        const double theta = root_.real("rope_theta", 1.0, 1e12, fields_.real("rope_theta", 1.0, 1e12, 10'000.0));
        f32("freq_base", theta);
        context_ = root_.integer("max_position_embeddings", 1, limits::kMaxContext);
        const std::string type = fields_.string("rope_type", fields_.string("type", "default").c_str());
        if (fields_.real("partial_rotary_factor", 0.0, 1.0, 1.0) != 1.0) refuse("partial_rotary_factor: anything but 1");
        if (type == "linear") {
            read_linear();
        } else if (type == "yarn") {
            read_yarn();
        } else if (type == "llama3" && !config_.is_latent) {
            read_llama3(theta);
        } else if (type != "default") {
            refuse("rope_type: '" + printable(type) + "'");
        }
        if (fields_.failure()) return *fields_.failure();
        if (root_.failure()) return *root_.failure();
        return {};
    }

  private:
    std::string key(const char* name) const { return config_.architecture + ".rope." + name; }
    void f32(const char* name, double value) { metadata_.set(key(name), Value::from_f32(static_cast<float>(value))); }
    void refuse(const std::string& what) {
        fields_.fail(make_error(PONDER_STATUS_UNSUPPORTED, "rope scaling: %s is not supported", what.c_str()));
    }
    double factor() { return fields_.real("factor", 1.0, kMaxFactor); }
    int64_t original_context() { return fields_.integer("original_max_position_embeddings", 1, limits::kMaxContext, context_); }

    void set_type(const char* type, double factor) {
        metadata_.set(key("scaling.type"), Value::from_string(type));
        f32("scaling.factor", factor);
    }

    void read_linear() { set_type("linear", factor()); }

    void read_yarn() {
        const double stretch = factor();
        set_type("yarn", stretch);
        metadata_.set(key("scaling.original_context_length"), Value::from_u32(static_cast<uint32_t>(original_context())));
        f32("scaling.yarn_beta_fast", fields_.real("beta_fast", 1e-3, kMaxFactor, 32.0));
        f32("scaling.yarn_beta_slow", fields_.real("beta_slow", 1e-3, kMaxFactor, 1.0));
        if (!fields_.boolean("truncate", true)) refuse("truncate: false");

        const double mscale = fields_.real("mscale", 0.0, 1e3, 0.0), mscale_all = fields_.real("mscale_all_dim", 0.0, 1e3, 0.0);
        const bool has_both = mscale != 0.0 && mscale_all != 0.0;
        const double published = has_both ? magnitude(stretch, mscale) / magnitude(stretch, mscale_all) : magnitude(stretch, 1.0);
        const double wanted = fields_.real("attention_factor", 0.0, 1e3, published) * fields_.real("attn_factor", 0.0, 1e3, 1.0);
        if (config_.is_latent) {
            // Here the key is the whole magnitude, and the multiplier says how the scores grow.
            f32("scaling.attn_factor", wanted);
            f32("scaling.yarn_log_multiplier", 0.1 * mscale_all);
        } else if (wanted != magnitude(stretch, 1.0)) {
            // GGUF's readers multiply the key by what YaRN says.
            f32("scaling.attn_factor", wanted / magnitude(stretch, 1.0));
        }
    }

    void read_llama3(double theta) {
        const Llama3Scaling scaling = {
            .factor = factor(),
            .low_frequency = fields_.real("low_freq_factor", 1e-3, kMaxFactor),
            .high_frequency = fields_.real("high_freq_factor", 1e-3, kMaxFactor),
            .original_context = static_cast<double>(fields_.integer("original_max_position_embeddings", 1, limits::kMaxContext)),
        };
        if (fields_.failure()) return;
        if (scaling.low_frequency >= scaling.high_frequency) return refuse("low_freq_factor that is not below high_freq_factor");
        config_.rope_divisors = llama3_divisors(config_.head_dim, theta, scaling);
    }

    JsonFields root_, fields_;
    Config& config_;
    Metadata& metadata_;
    int64_t context_ = 0;
};

}  // namespace

Result<void> read_rope(const Json& json, Config& config, Metadata& metadata) {
    const JsonFields root(json);
    for (const char* name : {"rope_scaling", "rope_parameters"}) {
        const Json* scaling = root.find(name);
        if (scaling == nullptr) continue;
        if (!scaling->is_object()) return make_error(PONDER_STATUS_FORMAT, "%s: not an object", name);
        return RopeReader(json, *scaling, name, config, metadata).read();
    }
    static const Json none = Json::object();
    return RopeReader(json, none, "rope_scaling", config, metadata).read();
}

}  // namespace ponder::hf
