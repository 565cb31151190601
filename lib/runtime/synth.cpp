// SPDX-License-Identifier: Apache-2.0
// Draws the weights of a synthetic model, encodes them on all cores and streams them into a GGUF file.
#include "runtime/synth.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/limits.hpp"
#include "base/thread_pool.hpp"
#include "format/gguf_writer.hpp"
#include "model/rope.hpp"
#include "quant/quant.hpp"
#include "runtime/synth_mix.hpp"
#include "runtime/synth_shapes.hpp"
#include "runtime/synth_vocabulary.hpp"

namespace ponder::synth {
namespace {

constexpr int64_t kBlockWeights = 1 << 14;   // drawn from one seed and encoded by one thread at a time
constexpr uint64_t kBatchBytes = 16u << 20;  // encoded between two writes

// As published with Llama 3.1.
constexpr Llama3Scaling kLlama3Scaling = {.factor = 8, .low_frequency = 1, .high_frequency = 4, .original_context = 8192};

// SplitMix64 (Steele, Lea, Flood 2014).
class RandomBits {
  public:
    explicit RandomBits(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15u;
        uint64_t x = state_;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return x ^ (x >> 31);
    }

  private:
    uint64_t state_;
};

uint64_t block_seed(uint64_t seed, size_t tensor, int64_t block) {
    const uint64_t tensor_seed = RandomBits(seed ^ RandomBits(tensor).next()).next();
    return RandomBits(tensor_seed ^ RandomBits(~static_cast<uint64_t>(block)).next()).next();
}

// Near-normal values: the sum of four 16-bit uniforms, which ends at 3.46 standard deviations and costs a few instructions.
void draw_values(uint64_t seed, float mean, float std_dev, std::span<float> values) {
    constexpr float kMean = 2.0f * 65535.0f;
    constexpr float kStdDev = 37837.0f;  // sqrt(4 (2^32 - 1) / 12)
    const float scale = std_dev / kStdDev;
    RandomBits random(seed);
    for (float& value : values) {
        const uint64_t bits = random.next();
        const uint32_t sum = static_cast<uint32_t>((bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48));
        value = mean + scale * (static_cast<float>(sum) - kMean);
    }
}

class WeightStream {
  public:
    WeightStream(GgufWriter& writer, ThreadPool& pool, const SynthShape& shape, const SynthParams& params, uint64_t total_bytes)
        : writer_(writer),
          pool_(pool),
          shape_(shape),
          params_(params),
          total_bytes_(total_bytes),
          values_(static_cast<size_t>(pool.n_threads())) {}

    // `index` is the tensor's number in the file: with the block's number and the seed it decides the values, so that no thread does.
    Result<void> append(const SynthTensor& tensor, size_t index) {
        if (tensor.role == TensorRole::kRopeFactors) {
            const std::vector<float> factors = llama3_divisors(shape_.head_dim, static_cast<double>(shape_.rope_theta), kLlama3Scaling);
            return write(std::as_bytes(std::span(factors)));
        }
        const QuantType& type = *find_quant_type(tensor.type);
        const uint64_t bytes_per_row = *row_bytes(type, static_cast<uint64_t>(tensor.n_cols));
        const int64_t rows_per_block = std::max<int64_t>(1, kBlockWeights / tensor.n_cols);
        const int64_t total_rows = tensor.total_rows(), n_blocks = (total_rows + rows_per_block - 1) / rows_per_block;
        const uint64_t bytes_per_block = bytes_per_row * static_cast<uint64_t>(rows_per_block);
        const int64_t blocks_per_batch = static_cast<int64_t>(std::max<uint64_t>(1, kBatchBytes / bytes_per_block));
        // Here and not in the workers, which must not throw.
        for (std::vector<float>& values : values_) values.resize(static_cast<size_t>(rows_per_block * tensor.n_cols));

        for (int64_t first = 0; first < n_blocks; first += blocks_per_batch) {
            const int64_t first_row = first * rows_per_block;
            const int64_t n_rows = std::min(total_rows - first_row, blocks_per_batch * rows_per_block);
            encoded_.resize(static_cast<size_t>(n_rows) * bytes_per_row);
            pool_.parallel_for(std::min(n_blocks - first, blocks_per_batch), [&](int64_t block, int thread) {
                const int64_t rows = std::min(rows_per_block, n_rows - block * rows_per_block);
                const std::span<float> values(values_[static_cast<size_t>(thread)].data(), static_cast<size_t>(rows * tensor.n_cols));
                draw_values(block_seed(params_.seed, index, first + block), tensor.mean, tensor.std_dev, values);
                type.encode(values.data(), encoded_.data() + static_cast<uint64_t>(block) * bytes_per_block,
                            rows * tensor.n_cols / type.block_len, nullptr);
            });
            if (auto written = write(encoded_); !written) return written;
        }
        return {};
    }

  private:
    Result<void> write(std::span<const std::byte> bytes) {
        if (auto appended = writer_.append(bytes); !appended) return appended;
        written_bytes_ += bytes.size();
        const double share = static_cast<double>(written_bytes_) / static_cast<double>(total_bytes_);
        if (params_.on_progress && !params_.on_progress(share)) return make_error(PONDER_STATUS_CANCELLED, "cancelled by the caller");
        return {};
    }

    GgufWriter& writer_;
    ThreadPool& pool_;
    const SynthShape& shape_;
    const SynthParams& params_;
    uint64_t total_bytes_;
    uint64_t written_bytes_ = 0;
    std::vector<std::byte> encoded_;          // one batch
    std::vector<std::vector<float>> values_;  // [n_threads][one block]
};

Result<void> check_params(const SynthParams& params) {
    if (params.n_layers < 0) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_layers is %d; it must not be negative", params.n_layers);
    if (params.n_layers > limits::kMaxLayers) {
        return make_error(PONDER_STATUS_LIMIT, "n_layers is %d; the limit is %lld", params.n_layers,
                          static_cast<long long>(limits::kMaxLayers));
    }
    if (params.n_experts < 0) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_experts is %d; it must not be negative", params.n_experts);
    }
    if (params.n_experts > limits::kMaxExperts) {
        return make_error(PONDER_STATUS_LIMIT, "n_experts is %d; the limit is %lld", params.n_experts,
                          static_cast<long long>(limits::kMaxExperts));
    }
    if (params.n_threads < 0 || params.n_threads > limits::kMaxThreads) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_threads is %d; it must lie in 0 to %d", params.n_threads, limits::kMaxThreads);
    }
    return {};
}

// Returns the bytes of all tensors.
Result<uint64_t> declare_tensors(std::span<const SynthTensor> tensors, GgufWriter& writer) {
    uint64_t total_bytes = 0;
    for (const SynthTensor& tensor : tensors) {
        const int64_t dims[3] = {tensor.n_cols, tensor.n_rows, tensor.n_matrices};
        const size_t n_dims = tensor.is_vector() ? 1 : tensor.n_matrices == 0 ? 2 : 3;
        auto added = writer.add_tensor(tensor.name, tensor.type, std::span(dims, n_dims));
        if (!added) return added.error();
        total_bytes +=
            static_cast<uint64_t>(tensor.total_rows()) * *row_bytes(*find_quant_type(tensor.type), static_cast<uint64_t>(tensor.n_cols));
    }
    return total_bytes;
}

Result<void> set_text(const SynthShape& shape, const SynthParams& params, Metadata& metadata) {
    if (!params.tokenizer_path.empty()) return set_tokenizer(params.tokenizer_path, *shape.vocabulary, shape.n_vocab, metadata);
    set_vocabulary(make_up_vocabulary(*shape.vocabulary, shape.n_vocab), *shape.vocabulary, metadata);
    return {};
}

Result<void> write_model(const SynthShape& shape, const TypeMix& mix, std::span<const SynthTensor> tensors, const std::string& path,
                         const SynthParams& params) {
    auto pool = ThreadPool::create(params.n_threads > 0 ? params.n_threads : available_cores());
    if (!pool) return pool.error();
    auto writer = GgufWriter::create(path);
    if (!writer) return writer.error();
    Metadata& metadata = writer->metadata();
    set_hyper_parameters(shape, shape.n_layers, metadata);
    metadata.set("general.file_type", Value::from_u32(static_cast<uint32_t>(mix.file_type)));
    metadata.set("general.quantization_version", Value::from_u32(2));
    if (auto set = set_text(shape, params, metadata); !set) return set;
    const auto total_bytes = declare_tensors(tensors, *writer);
    if (!total_bytes) return total_bytes.error();
    if (auto written = writer->write_header(); !written) return written;

    WeightStream stream(*writer, **pool, shape, params, *total_bytes);
    for (size_t i = 0; i < tensors.size(); ++i) {
        if (auto appended = stream.append(tensors[i], i); !appended) return appended;
    }
    return writer->finish();
}

Result<void> make_model(const std::string& shape_name, const std::string& path, const SynthParams& params) {
    const auto found = find_synth_shape(shape_name);
    if (!found) return found.error();
    if (auto checked = check_params(params); !checked) return checked;
    const auto resized = resize_shape(**found, params.n_layers, params.n_experts);
    if (!resized) return resized.error();
    const SynthShape& shape = *resized;
    const auto mix = find_type_mix(params.type.empty() ? shape.default_type : params.type);
    if (!mix) return mix.error();
    std::vector<SynthTensor> tensors = list_synth_tensors(shape, shape.n_layers);
    if (auto assigned = assign_types(**mix, shape, shape.n_layers, tensors); !assigned) return assigned;

    return write_model(shape, **mix, tensors, path, params);
}

}  // namespace
}  // namespace ponder::synth

namespace ponder {

Result<void> synthesize(const std::string& shape, const std::string& path, const SynthParams& params) {
    return synth::make_model(shape, path, params);
}

}  // namespace ponder
