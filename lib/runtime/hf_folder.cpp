// SPDX-License-Identifier: Apache-2.0
// Joins config, tensors and text files of a folder into one ModelFile.
#include "runtime/hf_folder.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/checked.hpp"
#include "base/utf8.hpp"
#include "format/safetensors_folder.hpp"
#include "quant/quant.hpp"
#include "runtime/hf_config.hpp"
#include "runtime/hf_tensors.hpp"
#include "runtime/hf_text.hpp"

namespace ponder::hf {
namespace {

constexpr char kFactorSuffix[] = "_scale_inv";  // DeepSeek's, of FP8 weights

std::string describe(int n_dims, const std::array<int64_t, 4>& dims) {
    std::string text = "[";
    for (int i = n_dims - 1; i >= 0; i--) text += std::to_string(dims[static_cast<size_t>(i)]) + (i > 0 ? ", " : "]");
    return text;
}

// Takes a folder's tensors one by one, so that what is left at the end is no part of the model.
class TensorPool {
  public:
    explicit TensorPool(std::vector<StoredTensor> tensors) : tensors_(std::move(tensors)), is_taken_(tensors_.size(), false) {}

    // Errors: FORMAT if two files have a tensor of one name.
    Result<void> index() {
        for (size_t i = 0; i < tensors_.size(); i++) {
            if (by_name_.emplace(tensors_[i].name, i).second) continue;
            return make_error(PONDER_STATUS_FORMAT, "tensor '%s' is in two files", printable(tensors_[i].name).c_str());
        }
        return {};
    }

    bool has_prefix(const std::string& prefix) const {
        const auto after = by_name_.lower_bound(prefix);
        return after != by_name_.end() && after->first.starts_with(prefix);
    }

    // Null if it is not there. Valid as long as the pool.
    const StoredTensor* take(const std::string& name) {
        const auto found = by_name_.find(name);
        if (found == by_name_.end()) return nullptr;
        is_taken_[found->second] = true;
        return &tensors_[found->second];
    }

    // The first that nobody took, or null.
    template <class MayBeLeft>
    const StoredTensor* find_left(MayBeLeft may_be_left) const {
        for (const auto& [name, i] : by_name_) {
            if (!is_taken_[i] && !may_be_left(name)) return &tensors_[i];
        }
        return nullptr;
    }

  private:
    std::vector<StoredTensor> tensors_;
    std::vector<bool> is_taken_;
    std::map<std::string_view, size_t> by_name_;
};

Result<void> check_shape(const StoredTensor& stored, int n_dims, const std::array<int64_t, 4>& dims) {
    if (stored.n_dims == n_dims && stored.dims == dims) return {};
    return make_error(PONDER_STATUS_FORMAT, "tensor '%s' is %s, config.json asks for %s", printable(stored.name).c_str(),
                      describe(stored.n_dims, stored.dims).c_str(), describe(n_dims, dims).c_str());
}

Result<const StoredTensor*> take_factors(TensorPool& pool, const StoredTensor& weight) {
    const StoredTensor* factors = pool.take(weight.name + kFactorSuffix);
    if (factors == nullptr) {
        return make_error(PONDER_STATUS_FORMAT, "tensor '%s%s', the factors of FP8 weights, is missing", printable(weight.name).c_str(),
                          kFactorSuffix);
    }
    if (find_quant_type(factors->type)->name != std::string_view("F32")) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s': dtype: factors of FP8 weights must be F32",
                          printable(factors->name).c_str());
    }
    if (auto checked = check_shape(*factors, 2, {f8_blocks(weight.dims[0]), f8_blocks(weight.dims[1]), 1, 1}); !checked) {
        return checked.error();
    }
    return factors;
}

class Assembler {
  public:
    Assembler(const Config& config, TensorPool& pool, ModelFile& model) : config_(config), pool_(pool), model_(model) {}

    Result<void> run() {
        for (const Tensor& wanted : list_tensors(config_)) {
            if (auto added = wanted.n_experts > 0 ? add_experts(wanted) : add_whole(wanted); !added) return added;
        }
        const auto may_be_left = [this](std::string_view name) {
            // Tables that early versions stored and that follow from the config; what a tied head and plain top-k do not use.
            return name.ends_with(".rotary_emb.inv_freq") || (config_.is_tied && name == "lm_head.weight") ||
                   (!config_.has_selection_bias && name.ends_with(".e_score_correction_bias"));
        };
        if (const StoredTensor* left = pool_.find_left(may_be_left)) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s' is no part of a model as config.json describes it",
                              printable(left->name).c_str());
        }
        return {};
    }

  private:
    Result<const StoredTensor*> take(const std::string& name, const Tensor& wanted) {
        const StoredTensor* stored = pool_.take(name);
        if (stored == nullptr) {
            if (wanted.is_optional) return stored;
            return make_error(PONDER_STATUS_FORMAT, "tensor '%s' is missing", printable(name).c_str());
        }
        const bool is_slice = wanted.n_experts > 0;
        std::array<int64_t, 4> dims = wanted.dims;
        if (is_slice) dims[2] = 1;
        if (auto checked = check_shape(*stored, is_slice ? 2 : wanted.n_dims, dims); !checked) return checked.error();
        if (stored->type == kF8E4M3 && wanted.n_dims < 2) {
            return make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s': dtype: a vector of FP8", printable(name).c_str());
        }
        return stored;
    }

    Result<void> add_whole(const Tensor& wanted) {
        const auto stored = take(wanted.hf_name, wanted);
        if (!stored) return stored.error();
        if (*stored == nullptr) return {};
        StoredTensor tensor = **stored;
        tensor.name = wanted.name;
        if (tensor.type == kF8E4M3) {
            const auto factors = take_factors(pool_, **stored);
            if (!factors) return factors.error();
            tensor.scales.push_back((*factors)->data);
        }
        model_.tensors.push_back(std::move(tensor));
        return {};
    }

    Result<void> add_experts(const Tensor& wanted) {
        StoredTensor tensor;
        tensor.name = wanted.name;
        tensor.n_dims = wanted.n_dims;
        tensor.dims = wanted.dims;
        for (int64_t i = 0; i < wanted.n_experts; i++) {
            const auto stored = take(wanted.hf_name_of(i), wanted);
            if (!stored) return stored.error();
            if (i == 0)
                tensor.type = (*stored)->type, tensor.file_index = (*stored)->file_index, tensor.file_offset = (*stored)->file_offset;
            if ((*stored)->type != tensor.type) {
                return make_error(PONDER_STATUS_UNSUPPORTED, "tensor '%s': dtype: not that of expert 0",
                                  printable((*stored)->name).c_str());
            }
            tensor.slices.push_back((*stored)->data);
            if (tensor.type != kF8E4M3) continue;
            const auto factors = take_factors(pool_, **stored);
            if (!factors) return factors.error();
            tensor.scales.push_back((*factors)->data);
        }
        model_.tensors.push_back(std::move(tensor));
        return {};
    }

    const Config& config_;
    TensorPool& pool_;
    ModelFile& model_;
};

// Graphs copy vectors. No file stands behind an outline whose size would bound them; R1 has a million elements.
constexpr uint64_t kMaxVectorElements = 1u << 26;

// The tensors as the config describes them, over a range that reads as zeros.
class Blueprint {
  public:
    Blueprint(const Config& config, ModelFile& model) : config_(config), model_(model) {}

    Result<void> run(const std::string& path) {
        const std::vector<Tensor> wanted = list_tensors(config_);
        for (const Tensor& tensor : wanted) {
            if (!tensor.is_optional || tensor.is_published) add(tensor);
        }
        if (!total_ || *total_ > SIZE_MAX / 2) {
            return make_error(PONDER_STATUS_LIMIT, "%s: describes more weights than can be addressed", path.c_str());
        }
        if (n_vector_elements_ > kMaxVectorElements) {
            return make_error(PONDER_STATUS_LIMIT, "%s: norms and biases of %" PRIu64 " elements, the limit is %" PRIu64, path.c_str(),
                              n_vector_elements_, kMaxVectorElements);
        }
        auto zeros = MappedFile::zeros(static_cast<size_t>(*total_), path);
        if (!zeros) return zeros.error();
        for (const auto& [index, offset, n_bytes, n_factor_bytes] : places_) {
            StoredTensor& tensor = model_.tensors[index];
            const auto range = zeros->bytes().subspan(static_cast<size_t>(offset));
            tensor.file_offset = offset;
            tensor.data = range.first(static_cast<size_t>(n_bytes));
            const auto one = static_cast<size_t>(n_factor_bytes) / static_cast<size_t>(tensor.dims[2]);
            for (int64_t i = 0; n_factor_bytes > 0 && i < tensor.dims[2]; i++) {
                tensor.scales.push_back(range.subspan(static_cast<size_t>(n_bytes) + static_cast<size_t>(i) * one, one));
            }
        }
        model_.files.push_back(std::move(*zeros));
        return {};
    }

  private:
    struct Place {
        size_t index;
        uint64_t offset, n_bytes, n_factor_bytes;
    };

    void add(const Tensor& wanted) {
        const bool is_f8 = config_.has_f8 && wanted.is_projection;
        const QuantType& type = *find_quant_type(is_f8 ? "F8_E4M3" : wanted.is_float32 ? "F32" : config_.stored_type.c_str());
        StoredTensor tensor;
        tensor.name = wanted.name;
        tensor.type = type.id;
        tensor.n_dims = wanted.n_dims;
        tensor.dims = wanted.dims;
        // The limits of a config keep every tensor below 2^56 bytes.
        const auto n_elements =
            static_cast<uint64_t>(wanted.dims[0]) * static_cast<uint64_t>(wanted.dims[1]) * static_cast<uint64_t>(wanted.dims[2]);
        const uint64_t n_bytes = n_elements / type.block_len * type.block_bytes;
        const auto n_blocks = static_cast<uint64_t>(f8_blocks(wanted.dims[0]) * f8_blocks(wanted.dims[1]) * wanted.dims[2]);
        const uint64_t n_factor_bytes = is_f8 ? n_blocks * sizeof(float) : 0;
        if (wanted.n_dims == 1) n_vector_elements_ += n_elements;
        const auto begin = total_ ? checked_align<uint64_t>(*total_, 32) : std::nullopt;
        places_.push_back({model_.tensors.size(), begin.value_or(0), n_bytes, n_factor_bytes});
        total_ = begin ? checked_add<uint64_t>(*begin, n_bytes + n_factor_bytes) : std::nullopt;
        model_.tensors.push_back(std::move(tensor));
    }

    const Config& config_;
    ModelFile& model_;
    std::vector<Place> places_;
    std::optional<uint64_t> total_ = 0;
    uint64_t n_vector_elements_ = 0;
};

// Re-published models lack the layers for further tokens although their config still counts them.
void drop_missing_layers(const TensorPool& pool, Config& config) {
    while (config.n_next_layers > 0 && !pool.has_prefix(layer_prefix(config.n_layers + config.n_next_layers - 1))) config.n_next_layers--;
}

void add_rope_divisors(const Config& config, ModelFile& model) {
    if (config.rope_divisors.empty()) return;
    const auto bytes = std::as_bytes(std::span(config.rope_divisors));
    const std::vector<std::byte>& owned = model.owned.emplace_back(bytes.begin(), bytes.end());
    StoredTensor tensor;
    tensor.name = "rope_freqs.weight";
    tensor.type = find_quant_type("F32")->id;
    tensor.n_dims = 1;
    tensor.dims[0] = static_cast<int64_t>(config.rope_divisors.size());
    tensor.data = owned;
    model.tensors.push_back(std::move(tensor));
}

std::string name_of(const std::string& folder) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::weakly_canonical(folder, error);
    return (path.has_filename() ? path : path.parent_path()).filename().string();
}

Result<void> read_weights(const std::string& folder, Config& config, ModelFile& model) {
    if (!safetensors::has_weights(folder)) {
        return make_error(PONDER_STATUS_NOT_FOUND, "%s: has no weights: there is neither %s nor %s", folder.c_str(),
                          safetensors::kSingleFileName, safetensors::kIndexName);
    }
    auto stored = safetensors::read_folder(folder);
    if (!stored) return stored.error();
    model.files = std::move(stored->files);
    TensorPool pool(std::move(stored->tensors));
    if (auto indexed = pool.index(); !indexed) return with_context(indexed.error(), folder);
    drop_missing_layers(pool, config);
    if (auto done = Assembler(config, pool, model).run(); !done) return with_context(done.error(), folder);
    return {};
}

Result<void> finish(const Config& config, ModelFile& model) {
    set_layer_count(config, model.metadata);
    add_rope_divisors(config, model);
    return model.index_tensors();
}

}  // namespace

Result<ModelFile> read_folder(const std::string& folder, bool with_weights) {
    const std::string config_path = (std::filesystem::path(folder) / "config.json").string();
    const auto json = read_json_file(folder, "config.json");
    if (!json) return json.error();
    if (json->is_null()) return make_error(PONDER_STATUS_IO, "%s: missing; a model folder has one", config_path.c_str());
    ModelFile model;
    auto config = read_config(*json, model.metadata);
    if (!config) return with_context(config.error(), config_path);
    model.metadata.set("general.name", Value::from_string(name_of(folder)));
    auto weights = with_weights ? read_weights(folder, *config, model) : Blueprint(*config, model).run(config_path);
    if (!weights) return weights.error();
    // Now n_vocab is known to be the embedding's, and what is padded to it no larger than what is there.
    if (auto read = read_text_files(folder, *json, config->n_vocab, model.metadata); !read) return read.error();
    if (auto done = finish(*config, model); !done) return with_context(done.error(), folder);
    return model;
}

Result<ModelFile> make_outline(const nlohmann::json& config, const std::string& path) {
    ModelFile model;
    const auto read = read_config(config, model.metadata);
    if (!read) return with_context(read.error(), path);
    if (auto made = Blueprint(*read, model).run(path); !made) return made.error();
    if (auto done = finish(*read, model); !done) return with_context(done.error(), path);
    return model;
}

}  // namespace ponder::hf
