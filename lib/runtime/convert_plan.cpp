// SPDX-License-Identifier: Apache-2.0
// Chooses every tensor's type and layout before anything is written, so that what cannot be done is known at once.
#include "runtime/convert_plan.hpp"

#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <map>
#include <optional>
#include <string_view>

#include "base/checked.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/utf8.hpp"
#include "format/gguf_format.hpp"

namespace ponder::convert {
namespace {

constexpr std::string_view kRopeHalvesKey = "ponder.rope.halves";

bool is_type(const QuantType& type, std::string_view name) { return type.name == name; }
bool is_foreign(const QuantType& type) { return type.id >= kFirstForeignType; }
// I8 to I64: indices, never weights.
bool is_integer(const QuantType& type) { return type.name[0] == 'I' && std::isdigit(static_cast<unsigned char>(type.name[1])) != 0; }

bool is_gguf(const ModelFile& source) { return !source.files.empty() && gguf::has_magic(source.files.front().bytes()); }

// Hyper-parameters by their key without the architecture.
class Hyper {
  public:
    explicit Hyper(const Metadata& metadata) : metadata_(metadata) {
        const auto name = metadata.get_string("general.architecture");
        if (name && *name) architecture_ = **name;
    }

    std::string key(const char* suffix) const { return architecture_ + "." + suffix; }
    // Of an array, which has a value a layer: the first. Absent, of another type or past int32: nothing.
    std::optional<int64_t> find(const char* suffix) const {
        if (const auto value = metadata_.get_i32(key(suffix)); value && *value) return **value;
        const auto array = metadata_.get_integers(key(suffix));
        if (array && *array && (*array)->size() > 0) return (*array)->int64_at(0);
        return std::nullopt;
    }
    // Errors: FORMAT, if it is missing or not from 1 to `high`.
    Result<int64_t> need(const char* suffix, int64_t high) const {
        const auto value = find(suffix);
        if (value && *value >= 1 && *value <= high) return *value;
        return make_error(PONDER_STATUS_FORMAT, "%s: %s, needed to lay out attention, is missing or not from 1 to %" PRId64,
                          key(suffix).c_str(), value ? std::to_string(*value).c_str() : "no value", high);
    }

  private:
    const Metadata& metadata_;
    std::string architecture_;
};

MixModel describe(const ModelFile& source, const Hyper& hyper, bool has_importance) {
    const auto number = [&](const char* suffix, int64_t otherwise) {
        return static_cast<int32_t>(
            std::clamp<int64_t>(hyper.find(suffix).value_or(otherwise), 0, std::numeric_limits<int32_t>::max() / 8));
    };
    MixModel model;
    model.n_layers = number("block_count", 0);
    model.n_heads = number("attention.head_count", 1);
    model.n_kv_heads = number("attention.head_count_kv", model.n_heads);
    model.n_experts = number("expert_count", 0);
    model.has_output = source.find("output.weight") != nullptr;
    model.has_importance = has_importance;
    return model;
}

// The types of vectors and of whatever else a mix has no say in.
const QuantType* unquantised_type(const QuantType& stored, TensorRole role, int n_dims) {
    const bool is_short_float = is_type(stored, "F16") || is_type(stored, "BF16") || is_foreign(stored);
    if (!is_short_float) return &stored;
    if (role != TensorRole::kOther || n_dims == 1) return find_quant_type("F32");
    return is_foreign(stored) ? find_quant_type("BF16") : &stored;
}

class Planner {
  public:
    Planner(const ModelFile& source, const TypeMix* mix, const ImportanceMatrix* importance)
        : source_(source), mix_(mix), importance_(importance), hyper_(source.metadata) {
        model_ = describe(source, hyper_, importance != nullptr);
    }

    Result<Plan> run() {
        if (auto read = read_layout(); !read) return read.error();
        for (const StoredTensor& tensor : source_.tensors) {
            const TensorPlace place = place_of(tensor.name, tensor.n_dims);
            const bool is_split = splits_latent_ && place.role == TensorRole::kLatentKvB;
            if (auto added = is_split ? add_latent_parts(tensor, place) : add_whole(tensor, place); !added) return added.error();
        }
        if (importance_ != nullptr && n_with_importance_ == 0) {
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "the importance matrix has no entry for any tensor that would be quantised");
        }
        set_keys();
        return std::move(plan_);
    }

  private:
    Result<void> read_layout() {
        const auto halves = source_.metadata.get_bool(kRopeHalvesKey);
        if (halves && *halves && **halves) {
            const auto n_heads = hyper_.need("attention.head_count", limits::kMaxHeads);
            if (!n_heads) return n_heads.error();
            const auto width = hyper_.find("attention.key_length").value_or(hyper_.find("embedding_length").value_or(0) / *n_heads);
            n_rot_ = hyper_.find("rope.dimension_count").value_or(width);
            head_dim_ = width;
            if (head_dim_ < 1 || n_rot_ < 2 || n_rot_ % 2 != 0 || n_rot_ > head_dim_) {
                return make_error(PONDER_STATUS_FORMAT, "%s: %" PRId64 " rotary dimensions do not fit heads of %" PRId64,
                                  hyper_.key("rope.dimension_count").c_str(), n_rot_, head_dim_);
            }
        }
        splits_latent_ = !is_gguf(source_) && hyper_.find("attention.kv_lora_rank") && !hyper_.find("attention.key_length_mla");
        return splits_latent_ ? read_latent() : Result<void>();
    }

    Result<void> read_latent() {
        const auto n_heads = hyper_.need("attention.head_count", limits::kMaxHeads);
        const auto n_latent = hyper_.need("attention.kv_lora_rank", limits::kMaxWidth);
        const auto key_length = hyper_.need("attention.key_length", limits::kMaxWidth);
        const auto value_length = hyper_.need("attention.value_length", limits::kMaxWidth);
        const auto n_rot = hyper_.need("rope.dimension_count", limits::kMaxWidth);
        for (const auto* number : {&n_heads, &n_latent, &key_length, &value_length, &n_rot}) {
            if (!*number) return number->error();
        }
        if (*n_rot >= *key_length) {
            return make_error(PONDER_STATUS_FORMAT, "%s: %" PRId64 " rotary dimensions leave nothing of keys of %" PRId64,
                              hyper_.key("rope.dimension_count").c_str(), *n_rot, *key_length);
        }
        n_heads_ = *n_heads, n_latent_ = *n_latent, n_nope_ = *key_length - *n_rot, n_value_ = *value_length, n_rot_ = *n_rot;
        return {};
    }

    Result<void> add_whole(const StoredTensor& tensor, const TensorPlace& place) {
        OutputTensor output = {.name = tensor.name, .source = &tensor, .n_dims = tensor.n_dims, .dims = tensor.dims};
        if (head_dim_ > 0 && is_rotary(tensor.name)) {
            const int64_t n_rows = tensor.n_dims == 1 ? tensor.dims[0] : tensor.dims[1];
            if (tensor.n_dims > 2 || n_rows % head_dim_ != 0) {
                return make_error(PONDER_STATUS_FORMAT, "tensor '%s': %" PRId64 " rows are not whole heads of %" PRId64,
                                  printable(tensor.name).c_str(), n_rows, head_dim_);
            }
            output.layout = Layout::kRotaryPairs;
            output.head_rows = head_dim_;
            output.n_rot = n_rot_;
        }
        return add(std::move(output), place);
    }

    static bool is_rotary(std::string_view name) {
        const auto ends = {".attn_q.weight", ".attn_k.weight", ".attn_q.bias", ".attn_k.bias"};
        return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
    }

    Result<void> add_latent_parts(const StoredTensor& tensor, const TensorPlace& place) {
        const int64_t head_rows = n_nope_ + n_value_;
        if (tensor.n_dims != 2 || tensor.dims[0] != n_latent_ || tensor.dims[1] != n_heads_ * head_rows) {
            return make_error(PONDER_STATUS_FORMAT,
                              "tensor '%s': %" PRId64 " x %" PRId64 " is not [%" PRId64 ", %" PRId64 " heads x (%" PRId64 " + %" PRId64
                              ")]",
                              printable(tensor.name).c_str(), tensor.dims[0], tensor.dims[1], n_latent_, n_heads_, n_nope_, n_value_);
        }
        const std::string blk = "blk." + std::to_string(place.layer) + ".";
        OutputTensor keys = {.name = blk + "attn_k_b.weight", .source = &tensor, .n_dims = 3};
        keys.dims = {n_nope_, n_latent_, n_heads_, 1};
        keys.layout = Layout::kLatentKeys;
        keys.head_rows = head_rows;
        OutputTensor values = {.name = blk + "attn_v_b.weight", .source = &tensor, .n_dims = 3};
        values.dims = {n_latent_, n_value_, n_heads_, 1};
        values.layout = Layout::kLatentValues;
        values.head_rows = head_rows;
        values.n_nope = n_nope_;
        has_split_ = true;
        if (auto added = add(std::move(keys), {TensorRole::kLatentKB, place.layer}); !added) return added;
        return add(std::move(values), {TensorRole::kLatentVB, place.layer});
    }

    Result<void> add(OutputTensor output, const TensorPlace& place) {
        const StoredTensor& stored = *output.source;
        const QuantType& type = *find_quant_type(stored.type);
        const bool is_weight = is_quantised_role(place.role) && stored.n_dims <= 3 && !is_integer(type);
        output.type = output.wanted = is_weight && is_foreign(type) ? find_quant_type("BF16") : &type;
        if (!is_weight) output.type = output.wanted = unquantised_type(type, place.role, stored.n_dims);
        if (is_weight && mix_ != nullptr) {
            const TypeChoice choice = choose_type(*mix_, model_, place, output.dims[0]);
            output.type = choice.type;
            output.wanted = choice.wanted;
        }
        output.is_copied = output.type == &type && output.layout == Layout::kAsStored && stored.scales.empty();
        if (stored.n_dims > 3 && !output.is_copied) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s': %d dimensions in type %s cannot be converted",
                              printable(stored.name).c_str(), stored.n_dims, type.name);
        }
        if (auto checked = check_importance(output); !checked) return checked;
        if (auto checked = check_row(output); !checked) return checked;
        if (output.type != output.wanted) {
            log_message(PONDER_LOG_INFO, "%s: rows of %" PRId64 " are not whole blocks of %s; stored as %s", printable(output.name).c_str(),
                        output.dims[0], output.wanted->name, output.type->name);
        }
        const auto total = checked_add(plan_.n_bytes, output.n_bytes());
        if (!total) return make_error(PONDER_STATUS_LIMIT, "tensor '%s': more than 2^64 bytes in all", printable(stored.name).c_str());
        plan_.n_bytes = *total;
        if (is_weight) bytes_of_type_[output.type->name] += output.n_bytes();
        plan_.tensors.push_back(std::move(output));
        return {};
    }

    Result<void> check_importance(OutputTensor& output) {
        if (importance_ == nullptr || output.is_copied || output.type->block_len == 1) return {};
        if (!importance_->has(output.name)) {
            ++plan_.n_without_importance;
            return {};
        }
        output.has_importance = true;
        ++n_with_importance_;
        return importance_->check(output.name, output.dims[0], output.dims[2]);
    }

    // Rows of plain types are cut into pieces; all others are held whole, and must be of a size that models have.
    static Result<void> check_row(const OutputTensor& output) {
        const StoredTensor& stored = *output.source;
        const bool is_cut = output.layout == Layout::kAsStored && stored.scales.empty();
        if (is_cut || std::max(stored.dims[0], output.dims[0]) <= limits::kMaxWidth) return {};
        return make_error(PONDER_STATUS_LIMIT, "tensor '%s': rows of %" PRId64 " elements, the limit is %" PRId64,
                          printable(stored.name).c_str(), std::max(stored.dims[0], output.dims[0]), limits::kMaxWidth);
    }

    void set_keys() {
        const auto set = [&](const std::string& key, int64_t value) {
            plan_.keys.emplace_back(key, Value::from_u32(static_cast<uint32_t>(value)));
        };
        if (has_split_) {
            set(hyper_.key("attention.key_length_mla"), n_nope_ + n_rot_);
            set(hyper_.key("attention.value_length_mla"), n_value_);
            set(hyper_.key("attention.key_length"), n_latent_ + n_rot_);
            set(hyper_.key("attention.value_length"), n_latent_);
            set(hyper_.key("attention.head_count_kv"), 1);
        }
        if (const auto file_type = file_type_of_result()) set("general.file_type", *file_type);
        set(std::string(gguf::kQuantizationVersionKey), gguf::kQuantizationVersion);
    }

    // Without a mix: what the file says already, or the mix of the type that most bytes have.
    std::optional<int64_t> file_type_of_result() const {
        if (mix_ != nullptr) return mix_->file_type;
        if (source_.metadata.find("general.file_type") != nullptr || bytes_of_type_.empty()) return std::nullopt;
        const auto most = std::max_element(bytes_of_type_.begin(), bytes_of_type_.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        for (const TypeMix& mix : type_mixes()) {
            if (most->first == mix.base_type) return mix.file_type;
        }
        return std::nullopt;
    }

    const ModelFile& source_;
    const TypeMix* mix_;
    const ImportanceMatrix* importance_;
    Hyper hyper_;
    MixModel model_;
    Plan plan_;
    int64_t head_dim_ = 0;  // 0: no rows to permute
    bool splits_latent_ = false, has_split_ = false;
    int64_t n_rot_ = 0, n_heads_ = 0, n_latent_ = 0, n_nope_ = 0, n_value_ = 0;
    int64_t n_with_importance_ = 0;
    std::map<std::string_view, uint64_t> bytes_of_type_;  // of matrices
};

}  // namespace

uint64_t OutputTensor::n_bytes() const {
    // Neither product wraps: the elements were counted in int64 when the source was read.
    const auto n_rows = static_cast<uint64_t>(dims[1]) * static_cast<uint64_t>(dims[2]) * static_cast<uint64_t>(dims[3]);
    return n_rows * *row_bytes(*type, static_cast<uint64_t>(dims[0]));
}

Result<Plan> make_plan(const ModelFile& source, const TypeMix* mix, const ImportanceMatrix* importance) {
    return Planner(source, mix, importance).run();
}

}  // namespace ponder::convert
