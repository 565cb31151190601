// SPDX-License-Identifier: Apache-2.0
// Plans against what opening and filling a session really take, and the plan of the full DeepSeek R1, whose weights nobody reads.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "quant/quant.hpp"
#include "runtime/model_source.hpp"
#include "runtime/plan.hpp"
#include "runtime/session.hpp"
#include "runtime/synth.hpp"
#include "runtime/synth_mix.hpp"
#include "runtime/synth_shapes.hpp"
#include "temp_file.hpp"

using namespace ponder;

namespace {

// Addresses that stand for a model's bytes. To read one is a fault.
class Unreadable {
  public:
    explicit Unreadable(size_t n_bytes)
        : size_(n_bytes), data_(::mmap(nullptr, n_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        REQUIRE(data_ != MAP_FAILED);
    }
    ~Unreadable() { ::munmap(data_, size_); }
    Unreadable(const Unreadable&) = delete;
    Unreadable& operator=(const Unreadable&) = delete;

    std::span<const std::byte> take(uint64_t n_bytes) {
        REQUIRE(used_ + n_bytes <= size_);
        const auto* begin = static_cast<const std::byte*>(data_) + used_;
        used_ += n_bytes;
        return {begin, static_cast<size_t>(n_bytes)};
    }

  private:
    size_t size_, used_ = 0;
    void* data_;
};

// Header of the published shape in a type mix.
ModelFile describe_shape(const char* name, const char* mix, Unreadable& weights) {
    const synth::SynthShape& shape = **synth::find_synth_shape(name);
    auto tensors = synth::list_synth_tensors(shape, shape.n_layers);
    REQUIRE(synth::assign_types(**synth::find_type_mix(mix), shape, shape.n_layers, tensors));
    ModelFile file;
    synth::set_hyper_parameters(shape, shape.n_layers, file.metadata);
    for (const synth::SynthTensor& tensor : tensors) {
        StoredTensor stored{.name = tensor.name, .type = tensor.type};
        stored.n_dims = tensor.is_vector() ? 1 : tensor.n_matrices == 0 ? 2 : 3;
        stored.dims = {tensor.n_cols, tensor.n_rows, std::max(tensor.n_matrices, 1), 1};
        const QuantType& type = *find_quant_type(tensor.type);
        const uint64_t n_bytes = static_cast<uint64_t>(tensor.total_rows()) * *row_bytes(type, static_cast<uint64_t>(tensor.n_cols));
        // Vectors become constants of the graph.
        stored.data = tensor.is_vector() ? std::span<const std::byte>(file.owned.emplace_back(n_bytes)) : weights.take(n_bytes);
        file.data_bytes += stored.data.size();
        file.tensors.push_back(std::move(stored));
    }
    REQUIRE(file.index_tensors());
    return file;
}

Plan plan_of(const ModelFile& file, uint64_t cap, const SessionOptions& session) {
    ModelOptions options;
    options.memory_cap = cap;
    auto plan = make_plan(file, options, session);
    REQUIRE(plan);
    return *plan;
}

struct Filled {
    std::vector<float> logits;  // of the last token
    uint64_t expert_bytes;      // that may be kept by then
};

// Opens, and fills a session of `context` tokens.
Result<Filled> fill(const std::string& path, uint64_t cap, const SessionOptions& options) {
    auto model = Model::open(path, {.n_threads = 1, .memory_cap = cap});
    if (!model) return model.error();
    auto session = Session::create(*model, options);
    if (!session) return session.error();
    std::vector<int32_t> tokens(static_cast<size_t>(options.context));
    for (size_t i = 0; i < tokens.size(); i++) tokens[i] = static_cast<int32_t>(i * 7 % 500);
    std::vector<float> logits(static_cast<size_t>((*model)->hyper_parameters().n_vocab));
    if (auto done = (*session)->evaluate(tokens, logits.data(), 1, {}); !done) return done.error();
    return Filled{std::move(logits), (*model)->streaming_info().capacity_bytes};
}

Plan plan_of(const std::string& path, uint64_t cap, const SessionOptions& options) {
    ModelOptions model;
    model.n_threads = 1;
    model.memory_cap = cap;
    auto plan = make_plan(path, model, options);
    REQUIRE(plan);
    return *plan;
}

void check_smallest_cap(const std::string& path, uint64_t cap, const SessionOptions& options) {
    CHECK(plan_of(path, cap, options).fits);
    CHECK(plan_of(path, cap, options).max_context >= options.context);
    CHECK(fill(path, cap, options));
    CHECK_FALSE(plan_of(path, cap - 1, options).fits);
    CHECK(plan_of(path, cap - 1, options).max_context < options.context);
    const auto refused = fill(path, cap - 1, options);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == PONDER_STATUS_MEMORY_CAP);
}

// Of all tensors that stay in memory, and of the rotation's frequencies, which the graph adds.
uint64_t bytes_of_weights(const ModelFile& file, bool with_experts) {
    const auto graph = build_graph(file, {});
    REQUIRE(graph);
    uint64_t total = static_cast<uint64_t>(graph->hyper_parameters.rope.n_rot) / 2 * sizeof(float);
    for (const StoredTensor& tensor : file.tensors) {
        const bool is_expert = tensor.name.find("_exps.weight") != std::string::npos;
        if (tensor.name != "token_embd.weight" && (with_experts || !is_expert)) total += tensor.n_bytes();
    }
    return total;
}

uint64_t bytes_of_weights(const std::string& path, bool with_experts) {
    const auto file = read_model_file(path);
    REQUIRE(file);
    return bytes_of_weights(*file, with_experts);
}

}  // namespace

TEST_CASE("plan: DeepSeek R1 has the latent cache that its shape gives") {
    Unreadable weights(size_t{1} << 39);
    const ModelFile file = describe_shape("deepseek-r1", "Q4_K_M", weights);
    CHECK(file.n_parameters() > 670'000'000'000);
    // 61 layers of a latent of 512 and a rotated key of 64 numbers.
    constexpr uint64_t kNumbers = 61 * (512 + 64);
    for (const int32_t context : {4'096, 131'072}) {
        const Plan plan = plan_of(file, 0, {.context = context});
        CHECK(plan.kv_bytes_per_token == kNumbers * sizeof(uint16_t));
        CHECK(plan.kv_bytes == kNumbers * sizeof(uint16_t) * static_cast<uint64_t>(context));
        CHECK(plan.max_context == 163'840);
        CHECK(plan.weight_bytes == bytes_of_weights(file, true));
        CHECK(plan_of(file, 0, {.context = context, .kv_type = PONDER_TYPE_F32}).kv_bytes == plan.kv_bytes * 2);
    }
    CHECK(plan_of(file, 0, {.context = 4'096}).kv_bytes == 287'834'112);
    CHECK(plan_of(file, 0, {.context = 131'072}).kv_bytes == 9'210'691'584);

    const SessionOptions long_session{.context = 131'072};
    const Plan streamed = plan_of(file, 64'000'000'000, long_session);
    CHECK(streamed.fits);
    CHECK(streamed.total_bytes() == 64'000'000'000);
    CHECK(streamed.kv_bytes == 9'210'691'584);
    CHECK(streamed.least_bytes < 40'000'000'000);
    const Plan tight = plan_of(file, streamed.least_bytes - 1, long_session);
    CHECK_FALSE(tight.fits);
    CHECK(tight.max_context < 131'072);
    CHECK(tight.max_context > 130'900);
}

TEST_CASE("plan: a dense model opens and fills under its total, and not under a byte less") {
    for (const char* shape : {"tiny-llama", "tiny-qwen2", "tiny-qwen3"}) {
        CAPTURE(shape);
        const ponder_test::TempFile file("m.gguf");
        REQUIRE(synthesize(shape, file.path(), {.type = "Q8_0"}));
        for (const int32_t kv_type : {PONDER_TYPE_F32, PONDER_TYPE_F16}) {
            for (const int32_t context : {1, 300, 1'500}) {
                const SessionOptions options{.context = context, .kv_type = kv_type};
                const Plan plan = plan_of(file.path(), 0, options);
                CHECK(plan.weight_bytes == bytes_of_weights(file.path(), true));
                CHECK_FALSE(plan.is_streaming());
                CHECK(plan.least_bytes == plan.total_bytes());
                check_smallest_cap(file.path(), plan.total_bytes(), options);
            }
        }
    }
}

TEST_CASE("plan: experts are streamed under a cap, down to one of them") {
    for (const char* shape : {"tiny-deepseek-v3", "tiny-deepseek-v2"}) {
        CAPTURE(shape);
        const ponder_test::TempFile file("m.gguf");
        REQUIRE(synthesize(shape, file.path(), {.type = "Q8_0"}));
        for (const int32_t kv_type : {PONDER_TYPE_F32, PONDER_TYPE_Q8_0}) {
            const SessionOptions options{.context = 300, .kv_type = kv_type};
            const Plan whole = plan_of(file.path(), 0, options);
            CHECK(whole.weight_bytes == bytes_of_weights(file.path(), true));
            CHECK(whole.least_bytes < whole.total_bytes());
            check_smallest_cap(file.path(), whole.least_bytes, options);

            // What is left belongs to the experts, and gives the same logits however little it is.
            const Plan least = plan_of(file.path(), whole.least_bytes, options);
            const Plan roomy = plan_of(file.path(), whole.least_bytes + 10'000, options);
            CHECK(least.is_streaming());
            CHECK(least.total_bytes() == whole.least_bytes);
            CHECK(least.weight_bytes == bytes_of_weights(file.path(), false));
            CHECK(roomy.expert_bytes == least.expert_bytes + 10'000);
            const auto at_least = fill(file.path(), whole.least_bytes, options),
                       with_room = fill(file.path(), whole.least_bytes + 10'000, options);
            CHECK(at_least->expert_bytes == least.expert_bytes);
            CHECK(with_room->expert_bytes == roomy.expert_bytes);
            CHECK(at_least->logits == fill(file.path(), 0, options)->logits);
        }
    }
}

TEST_CASE("plan: a cap that holds the model and a session streams nothing") {
    const ponder_test::TempFile file("m.gguf");
    REQUIRE(synthesize("tiny-deepseek-v3", file.path(), {.type = "Q8_0"}));
    const Plan whole = plan_of(file.path(), 0, {});
    CHECK_FALSE(plan_of(file.path(), whole.total_bytes(), {}).is_streaming());
    CHECK(plan_of(file.path(), whole.total_bytes() - 1, {}).is_streaming());
    CHECK(plan_of(file.path(), whole.total_bytes() - 1, {}).fits);
    const auto streams = [&](uint64_t cap) { return (*Model::open(file.path(), {.n_threads = 1, .memory_cap = cap}))->is_streaming(); };
    CHECK_FALSE(streams(whole.total_bytes()));
    CHECK(streams(whole.total_bytes() - 1));
}
