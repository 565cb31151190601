// SPDX-License-Identifier: Apache-2.0
// Makes the tensors of the tiny Hugging Face models and writes their folders.
#include "hf_models.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "npy.hpp"

namespace ponder_test {

namespace {

constexpr uint64_t kGoldenRatio = 0x9E3779B97F4A7C15u;
constexpr int64_t kBlock = 128;  // rows and columns of one FP8 factor

using Shape = std::vector<int64_t>;

uint64_t fnv1a(std::string_view text) {
    uint64_t h = 0xCBF29CE484222325u;
    for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
    return h;
}

// splitmix64's finaliser.
uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

bool ends_with(const std::string& text, std::string_view tail) { return std::string_view(text).ends_with(tail); }

// "q_proj" of "model.layers.0.self_attn.q_proj.weight".
std::string part_before_last(const std::string& name) {
    const size_t last = name.rfind('.');
    const size_t before = name.rfind('.', last - 1);
    return name.substr(before + 1, last - before - 1);
}

double gain_of(const std::string& part) {
    for (const char* name : {"q_proj", "k_proj", "q_b_proj", "kv_a_proj_with_mqa"}) {
        if (part == name) return 1.5;
    }
    return part == "gate" || part == "lm_head" ? 2.0 : 1.0;
}

std::vector<float> make_values(const std::string& name, const Shape& shape) {
    const std::string part = part_before_last(name);
    double mean = 0.0, spread = 0.0;
    if (ends_with(name, "e_score_correction_bias")) {
        spread = 0x1p-19;
    } else if (ends_with(name, ".bias") || part == "embed_tokens") {
        spread = 0x1p-17;
    } else if (ends_with(part, "norm")) {
        mean = 1.0, spread = 0x1p-18;
    } else {
        spread = gain_of(part) / (37837.0 * std::sqrt(static_cast<double>(shape[1])));
    }
    int64_t n = 1;
    for (const int64_t extent : shape) n *= extent;
    std::vector<float> values(static_cast<size_t>(n));
    const uint64_t seed = fnv1a(name);
    for (size_t i = 0; i < values.size(); i++) {
        const uint64_t z = mix(seed + (i + 1) * kGoldenRatio);
        const int64_t sum = static_cast<int64_t>((z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48)) - 131070;
        values[i] = static_cast<float>(mean + static_cast<double>(sum) * spread);  // exact where mean is not 0: fused or not is the same
    }
    return values;
}

// The values of the positive E4M3 codes in order; 127 is not a number.
std::array<float, 127> e4m3_values() {
    std::array<float, 127> values{};
    for (int code = 0; code < 127; code++) {
        const int exponent = code >> 3, mantissa = code & 7;
        values[static_cast<size_t>(code)] =
            exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9) : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    }
    return values;
}

// The code of the value nearest to x; of two equally near ones the even code, which is the even mantissa.
uint8_t encode_e4m3(float x) {
    static const std::array<float, 127> values = e4m3_values();
    const float a = std::fabs(x);
    const size_t above = static_cast<size_t>(std::lower_bound(values.begin(), values.end(), a) - values.begin());
    size_t code = std::min(above, values.size() - 1);
    if (above > 0 && above < values.size()) {
        const double down = static_cast<double>(a) - values[above - 1], up = static_cast<double>(values[above]) - a;
        if (down < up || (down == up && (above - 1) % 2 == 0)) code = above - 1;
    }
    return static_cast<uint8_t>(code | (std::signbit(x) ? 0x80u : 0u));
}

float decode_e4m3(uint8_t code) {
    static const std::array<float, 127> values = e4m3_values();
    return (code & 0x80 ? -1.0f : 1.0f) * values[code & 0x7F];
}

template <class T>
void append(std::vector<uint8_t>& bytes, T value) {
    const size_t at = bytes.size();
    bytes.resize(at + sizeof(T));
    std::memcpy(bytes.data() + at, &value, sizeof(T));
}

uint32_t bits_of(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

float float_of(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

uint16_t encode_bf16(float x) {
    const uint32_t bits = bits_of(x);
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// Rounds to the nearest half and to even by the step of x's binade (2^-24 below the smallest normal one); |x| < 65504.
uint16_t encode_f16(float x) {
    int exponent;
    std::frexp(x, &exponent);
    const int step = std::max(exponent - 1, -14) - 10;
    const auto n = static_cast<uint32_t>(std::nearbyint(std::ldexp(std::fabs(static_cast<double>(x)), -step)));
    // n < 1024: subnormal. n = 2048, the next binade: the carry into the exponent is what it should be.
    const uint32_t code = (static_cast<uint32_t>(step + 24) << 10) + n;
    return static_cast<uint16_t>(code | (std::signbit(x) ? 0x8000u : 0u));
}

float decode_f16(uint16_t code) {
    const int exponent = code >> 10 & 31, mantissa = code & 1023;
    const float a =
        exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24) : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
    return code & 0x8000 ? -a : a;
}

// Stores [rows, cols] as FP8 with one factor a block, and leaves in `x` what is stored.
void store_f8(std::vector<float>& x, const Shape& shape, HfPart& codes, HfPart& factors) {
    const int64_t rows = shape[0], cols = shape[1];
    factors.shape = {(rows + kBlock - 1) / kBlock, (cols + kBlock - 1) / kBlock};
    codes.bytes.resize(x.size());
    for (int64_t top = 0; top < rows; top += kBlock) {
        for (int64_t left = 0; left < cols; left += kBlock) {
            const auto for_each = [&](auto&& visit) {
                for (int64_t r = top; r < std::min(top + kBlock, rows); r++) {
                    for (int64_t c = left; c < std::min(left + kBlock, cols); c++) visit(static_cast<size_t>(r * cols + c));
                }
            };
            float largest = 0.0f;
            for_each([&](size_t i) { largest = std::max(largest, std::fabs(x[i])); });
            const float factor = largest / 448.0f;
            append(factors.bytes, factor);
            for_each([&](size_t i) {
                codes.bytes[i] = encode_e4m3(x[i] / factor);
                x[i] = decode_e4m3(codes.bytes[i]) * factor;
            });
        }
    }
}

void store_plain(std::vector<float>& x, HfPart& part) {
    for (float& value : x) {
        if (part.dtype == "F32") {
            append(part.bytes, value);
        } else if (part.dtype == "F16") {
            const uint16_t code = encode_f16(value);
            append(part.bytes, code);
            value = decode_f16(code);
        } else {
            const uint16_t code = encode_bf16(value);
            append(part.bytes, code);
            value = float_of(static_cast<uint32_t>(code) << 16);
        }
    }
}

// As in the published files: router corrections are F32 everywhere; in FP8 files only the layers' projections are FP8.
std::string stored_type(const std::string& name, const std::string& stored) {
    if (ends_with(name, "e_score_correction_bias")) return "F32";
    const bool is_projection = ends_with(name, "_proj.weight") || ends_with(name, "_proj_with_mqa.weight");
    return stored == "F8_E4M3" && (!is_projection || ends_with(name, ".eh_proj.weight")) ? "BF16" : stored;
}

// Adds tensors to a model in the order in which they are stored.
class Maker {
  public:
    explicit Maker(HfModel& model) : model_(model), c_(model.config) {}

    void make() {
        const int64_t n_layers = c_["num_hidden_layers"], n_next = c_.value("num_nextn_predict_layers", 0);
        add("model.embed_tokens.weight", {size("vocab_size"), hidden_});
        for (int64_t i = 0; i < n_layers; i++) add_layer(i);
        for (int64_t i = n_layers; i < n_layers + n_next; i++) add_prediction_layer(i);
        add("model.norm.weight", {hidden_});
        if (!c_["tie_word_embeddings"].get<bool>()) add("lm_head.weight", {size("vocab_size"), hidden_});
    }

  private:
    int64_t size(const char* key) const { return c_[key].get<int64_t>(); }

    // `source`: whose values it has, if not its own.
    void add(const std::string& name, const Shape& shape, const std::string& source = "") {
        HfPart part{name, stored_type(name, model_.stored), shape, {}};
        std::vector<float> values = make_values(source.empty() ? name : source, shape);
        if (part.dtype == "F8_E4M3") {
            HfPart factors{name + "_scale_inv", "F32", {}, {}};
            store_f8(values, shape, part, factors);
            model_.parts.push_back(std::move(part));
            model_.parts.push_back(std::move(factors));
        } else {
            store_plain(values, part);
            model_.parts.push_back(std::move(part));
        }
        const int64_t rows = shape.size() == 1 ? 1 : shape[0];
        model_.tensors[name] = {rows, shape.back(), std::move(values)};
    }

    void add_layer(int64_t index) {
        const std::string prefix = "model.layers." + std::to_string(index) + ".";
        const bool is_latent = c_.contains("kv_lora_rank");
        add(prefix + "input_layernorm.weight", {hidden_});
        is_latent ? add_latent_attention(prefix + "self_attn.") : add_dense_attention(prefix + "self_attn.");
        add(prefix + "post_attention_layernorm.weight", {hidden_});
        if (is_latent && index >= size("first_k_dense_replace")) {
            add_experts(prefix + "mlp.");
        } else {
            add_feed_forward(prefix + "mlp.", size("intermediate_size"));
        }
    }

    void add_dense_attention(const std::string& prefix) {
        const int64_t n_heads = size("num_attention_heads"), head_dim = c_.value("head_dim", hidden_ / n_heads);
        for (const char* part : {"q", "k", "v"}) {
            const int64_t rows = head_dim * (*part == 'q' ? n_heads : size("num_key_value_heads"));
            add(prefix + part + "_proj.weight", {rows, hidden_});
            if (c_["model_type"] == "qwen2") add(prefix + part + "_proj.bias", {rows});
        }
        if (c_["model_type"] == "qwen3") {
            add(prefix + "q_norm.weight", {head_dim});
            add(prefix + "k_norm.weight", {head_dim});
        }
        add(prefix + "o_proj.weight", {hidden_, n_heads * head_dim});
    }

    void add_latent_attention(const std::string& prefix) {
        const int64_t n_heads = size("num_attention_heads"), rank = size("kv_lora_rank"), nope = size("qk_nope_head_dim");
        const int64_t rope = size("qk_rope_head_dim"), v_dim = size("v_head_dim");
        if (c_["q_lora_rank"].is_null()) {
            add(prefix + "q_proj.weight", {n_heads * (nope + rope), hidden_});
        } else {
            add(prefix + "q_a_proj.weight", {size("q_lora_rank"), hidden_});
            add(prefix + "q_a_layernorm.weight", {size("q_lora_rank")});
            add(prefix + "q_b_proj.weight", {n_heads * (nope + rope), size("q_lora_rank")});
        }
        add(prefix + "kv_a_proj_with_mqa.weight", {rank + rope, hidden_});
        add(prefix + "kv_a_layernorm.weight", {rank});
        add(prefix + "kv_b_proj.weight", {n_heads * (nope + v_dim), rank});
        add(prefix + "o_proj.weight", {hidden_, n_heads * v_dim});
    }

    void add_feed_forward(const std::string& prefix, int64_t inner) {
        add(prefix + "gate_proj.weight", {inner, hidden_});
        add(prefix + "up_proj.weight", {inner, hidden_});
        add(prefix + "down_proj.weight", {hidden_, inner});
    }

    void add_experts(const std::string& prefix) {
        const int64_t n_experts = size("n_routed_experts"), inner = size("moe_intermediate_size");
        add(prefix + "gate.weight", {n_experts, hidden_});
        if (c_["topk_method"] == "noaux_tc") add(prefix + "gate.e_score_correction_bias", {n_experts});
        for (int64_t e = 0; e < n_experts; e++) add_feed_forward(prefix + "experts." + std::to_string(e) + ".", inner);
        add_feed_forward(prefix + "shared_experts.", inner * size("n_shared_experts"));
    }

    // A multi-token prediction layer; it repeats the model's embedding and head.
    void add_prediction_layer(int64_t index) {
        const std::string prefix = "model.layers." + std::to_string(index) + ".";
        add(prefix + "embed_tokens.weight", {size("vocab_size"), hidden_}, "model.embed_tokens.weight");
        add(prefix + "enorm.weight", {hidden_});
        add(prefix + "hnorm.weight", {hidden_});
        add(prefix + "eh_proj.weight", {hidden_, 2 * hidden_});
        add_layer(index);
        add(prefix + "shared_head.norm.weight", {hidden_});
        add(prefix + "shared_head.head.weight", {size("vocab_size"), hidden_}, "lm_head.weight");
    }

    HfModel& model_;
    const nlohmann::json& c_;
    int64_t hidden_ = c_["hidden_size"];
};

bool write_file(const std::string& path, const std::string& bytes) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) return false;
    const bool is_written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    return std::fclose(file) == 0 && is_written;
}

// safetensors: u64 length of the header, the header as JSON padded with blanks to a multiple of 8, the tensors' bytes.
bool write_safetensors(const std::string& path, const std::vector<const HfPart*>& parts, size_t n_blanks) {
    nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
    size_t offset = 0;
    for (const HfPart* part : parts) {
        header[part->name] = {{"dtype", part->dtype}, {"shape", part->shape}, {"data_offsets", {offset, offset + part->bytes.size()}}};
        offset += part->bytes.size();
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8 + n_blanks, ' ');
    std::string bytes;
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(static_cast<uint64_t>(text.size()) >> shift & 0xFF));
    bytes += text;
    for (const HfPart* part : parts) bytes.append(part->bytes.begin(), part->bytes.end());
    return write_file(path, bytes);
}

std::string shard_name(size_t index, size_t count) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, count);
    return name;
}

}  // namespace

HfModels make_hf_models() {
    const auto bytes = read_bytes(std::string(PONDER_SOURCE_DIR) + "/tests/golden/hf_models.json");
    const auto json = nlohmann::json::parse(bytes.value_or(std::vector<unsigned char>{}), nullptr, false);
    HfModels all;
    if (json.is_discarded()) return all;
    all.tokens = json["tokens"].get<std::vector<int32_t>>();
    for (const auto& row : json["models"]) {
        HfModel model{row["name"], row["stored"], row["n_files"], row["config"], {}, {}};
        Maker(model).make();
        all.models.push_back(std::move(model));
    }
    return all;
}

uint64_t digest(const HfModel& model) {
    uint64_t total = 0;
    for (const HfPart& part : model.parts) {
        uint64_t sum = 0;
        for (size_t at = 0, word_index = 1; at < part.bytes.size(); at += 8, word_index++) {
            uint64_t word = 0;
            for (size_t k = 0; k < std::min<size_t>(8, part.bytes.size() - at); k++)
                word |= static_cast<uint64_t>(part.bytes[at + k]) << 8 * k;
            sum += mix(word + word_index * kGoldenRatio);
        }
        total = total * 31 + fnv1a(part.name) + sum;
    }
    return total;
}

bool write_hf_folder(const HfModel& model, const std::string& folder, size_t n_blanks) {
    if (!write_file(folder + "/config.json", model.config.dump(2))) return false;
    std::vector<std::vector<const HfPart*>> files(model.n_files);
    nlohmann::json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", nlohmann::json::object()}};
    size_t n_bytes = 0;
    for (size_t i = 0; i < model.parts.size(); i++) {
        const HfPart& part = model.parts[i];
        files[i % model.n_files].push_back(&part);
        index["weight_map"][part.name] = shard_name(i % model.n_files, model.n_files);
        n_bytes += part.bytes.size();
    }
    if (model.n_files == 1) return write_safetensors(folder + "/model.safetensors", files[0], n_blanks);
    index["metadata"]["total_size"] = n_bytes;
    for (size_t i = 0; i < files.size(); i++) {
        if (!write_safetensors(folder + "/" + shard_name(i, model.n_files), files[i], n_blanks)) return false;
    }
    return write_file(folder + "/model.safetensors.index.json", index.dump(2));
}

}  // namespace ponder_test
