// SPDX-License-Identifier: Apache-2.0
// Speed of single operators at the shapes of real models, on the device that PONDER_FORCE_BACKEND names ("cpu", "cpu/avx2", "vulkan", ...):
// products of every stored type by number of rows, attention by depth, norms and experts; and of every case of the conformance tests. Rates
// are of stored weight or cache bytes and of floating-point operations as mathematics counts them. Options are Google Benchmark's:
// --benchmark_filter=matmul/Q4_K.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "case_run.hpp"
#include "quant/sample_blocks.hpp"

using namespace ponder;

namespace {

constexpr int32_t kVocab = 16;

// Weights of random bits with sound scales, alive as long as the maker.
class Weights {
  public:
    OperandId add(ProgramBuilder& program, const QuantType& type, int64_t n_in, int64_t n_out, int64_t n = 1) {
        const size_t n_blocks = static_cast<size_t>(n_in * n_out * n) / type.block_len,
                     row_bytes = static_cast<size_t>(n_in) / type.block_len * type.block_bytes;
        bytes_.push_back(std::make_unique<std::vector<std::byte>>(n_blocks * type.block_bytes));
        std::byte* first = bytes_.back()->data();
        // One row is enough variety, and takes a moment instead of minutes.
        make_sample_blocks(type, row_bytes / type.block_bytes, 1e4f, random_, normal_, first);
        for (size_t at = row_bytes; at < bytes_.back()->size(); at += row_bytes) std::copy_n(first, row_bytes, first + at);
        const int64_t dims[] = {n_in, n_out, n};
        n_bytes += bytes_.back()->size();
        const OperandId weight = program.add_weight("weight", type.id, std::span(dims, n > 1 ? 3 : 2), *bytes_.back());
        if (type.id == PONDER_TYPE_F8_E4M3) {
            program.set_scales(weight, add(program, *find_quant_type(PONDER_TYPE_F32), f8_blocks(n_in), f8_blocks(n_out), n));
        }
        return weight;
    }
    size_t n_bytes = 0;  // of all weights so far

  private:
    std::mt19937 random_{7};
    std::normal_distribution<float> normal_;
    std::vector<std::unique_ptr<std::vector<std::byte>>> bytes_;
};

struct Cost {
    double bytes = 0, flops = 0;  // of one run
};

struct OpBench {
    std::string name;
    int32_t n_rows;
    int32_t depth;  // tokens in the cache beforehand
    int64_t width;  // of the operator's input
    // The operator of x; x itself, after what it writes to the cache, where only_writes.
    std::function<OperandId(ProgramBuilder&, Weights&, OperandId x, Cost&, bool only_writes)> build;
};

// What a benchmark needs of a device, made once a benchmark.
class Runner {
  public:
    Runner(const Device& device, const OpBench& bench) : device_(device), bench_(bench) {}

    Result<void> prepare() {
        if (auto compiled = compile(measured_, std::max(kFillRows, bench_.n_rows), false); !compiled) return compiled;
        const ponder_program& view = measured_.on_device.program->view();
        pool_ = std::make_shared<KvPool>(device_, budget_, std::max<uint64_t>(4096, view.kv_page_bytes), view.kv_page_tokens);
        sequence_ = std::make_unique<KvSequence>(pool_);
        if (auto grown = sequence_->extend(bench_.depth + bench_.n_rows); !grown) return grown;
        if (bench_.depth == 0) return {};
        Compiled filling;
        if (auto compiled = compile(filling, kFillRows, true); !compiled) return compiled;
        for (int32_t first = 0; first < bench_.depth; first += kFillRows) {
            if (auto done = run(filling, first, std::min(kFillRows, bench_.depth - first)); !done) return done;
        }
        return {};
    }

    Result<void> run() { return run(measured_, bench_.depth, bench_.n_rows); }
    const Cost& cost() const { return cost_; }

  private:
    static constexpr int32_t kFillRows = 128;

    struct Compiled {
        Weights weights;
        ponder_test::CompiledProgram on_device;
    };

    Result<void> compile(Compiled& made, int32_t max_rows, bool only_writes) {
        ProgramBuilder builder;
        builder.kv().type = PONDER_TYPE_F16;
        const QuantType& f32 = *find_quant_type(PONDER_TYPE_F32);
        const OperandId x = builder.embed(made.weights.add(builder, f32, bench_.width, kVocab)),
                        result = bench_.build(builder, made.weights, x, cost_, only_writes);
        builder.logits(builder.gather_rows(result), made.weights.add(builder, f32, builder.width(result), kVocab), kNoOperand);
        return made.on_device.compile(device_, std::move(builder), max_rows, 1);
    }

    Result<void> run(Compiled& compiled, int32_t first, int32_t n_rows) {
        std::vector<int32_t> tokens, positions, sequences(static_cast<size_t>(n_rows), 0);
        for (int32_t r = 0; r < n_rows; r++) {
            tokens.push_back(r % kVocab);
            positions.push_back(first + r);
        }
        const ponder_kv_sequence kv{sequence_->pages().data(), static_cast<int32_t>(sequence_->pages().size())};
        std::vector<ponder_buffer*> arenas;
        pool_->list_arenas(arenas);
        const int32_t output_row = n_rows - 1;
        float logits[kVocab];
        return compiled.on_device.plan.run({.struct_size = sizeof(ponder_run),
                                            .n_rows = n_rows,
                                            .tokens = tokens.data(),
                                            .positions = positions.data(),
                                            .sequences = sequences.data(),
                                            .kv = &kv,
                                            .n_sequences = 1,
                                            .n_outputs = 1,
                                            .output_rows = &output_row,
                                            .logits = logits,
                                            .arenas = arenas.data(),
                                            .n_arenas = static_cast<int32_t>(arenas.size()),
                                            .pages_per_arena = pool_->pages_per_arena()});
    }

    const Device& device_;
    const OpBench& bench_;
    Cost cost_;
    Compiled measured_;
    MemoryBudget budget_{0};
    std::shared_ptr<KvPool> pool_;
    std::unique_ptr<KvSequence> sequence_;
};

OpBench matmul_bench(const QuantType& type, int64_t n_in, int64_t n_out, int32_t n_rows) {
    const std::string name =
        std::string("matmul/") + type.name + "/" + std::to_string(n_in) + "x" + std::to_string(n_out) + "/rows:" + std::to_string(n_rows);
    return {name, n_rows, 0, n_in,
            [=, &type](ProgramBuilder& program, Weights& weights, OperandId x, Cost& cost, [[maybe_unused]] bool only_writes) {
                weights.n_bytes = 0;
                const OperandId weight = weights.add(program, type, n_in, n_out);
                cost = {static_cast<double>(weights.n_bytes), 2.0 * static_cast<double>(n_in * n_out) * n_rows};
                return program.matmul(x, weight, kNoOperand, "y");
            }};
}

// Layers whose caches no processor's own memory holds, as those of a whole model.
int layers_beyond_cache(double bytes_of_layer) { return static_cast<int>(std::ceil(96e6 / bytes_of_layer)); }

// Grouped-query attention as in R1's 1.5B distill, and latent attention as in R1 itself.
OpBench gqa_bench(int32_t depth, int32_t n_rows) {
    constexpr int32_t kHeads = 12, kKvHeads = 2, kDim = 128;
    const std::string name = "attention/gqa/depth:" + std::to_string(depth) + "/rows:" + std::to_string(n_rows);
    return {name, n_rows, depth, kHeads * kDim,
            [=](ProgramBuilder& program, Weights& weights, OperandId x, Cost& cost, [[maybe_unused]] bool only_writes) {
                const double bytes = 4.0 * kKvHeads * kDim * depth;
                const int n_layers = layers_beyond_cache(bytes);
                const OperandId map = weights.add(program, *find_quant_type(PONDER_TYPE_F32), kHeads * kDim, kKvHeads * kDim),
                                k = program.matmul(x, map, kNoOperand, "k");
                cost = {bytes * n_layers, 4.0 * kHeads * kDim * depth * n_rows * n_layers};
                for (int layer = 0; layer < n_layers; layer++) {
                    const auto kv = program.kv().add_layer(kKvHeads * kDim, kKvHeads * kDim);
                    program.kv_write(k, k, *kv);
                    if (only_writes) continue;
                    x = program.attention(
                        x, {.kv = *kv, .n_heads = kHeads, .n_kv_heads = kKvHeads, .k_head_dim = kDim, .v_head_dim = kDim, .scale = 0.088f});
                }
                return x;
            }};
}

OpBench mla_bench(int32_t depth, int32_t n_rows) {
    constexpr int32_t kHeads = 128, kNope = 128, kRope = 64, kLatent = 512, kValue = 128;
    const std::string name = "attention/mla/depth:" + std::to_string(depth) + "/rows:" + std::to_string(n_rows);
    return {
        name, n_rows, depth, kHeads * (kNope + kRope),
        [=](ProgramBuilder& program, Weights& weights, OperandId x, Cost& cost, [[maybe_unused]] bool only_writes) {
            const QuantType &f32 = *find_quant_type(PONDER_TYPE_F32), &q8 = *find_quant_type(PONDER_TYPE_Q8_0);
            const double bytes = 2.0 * (kLatent + kRope) * depth;
            const int n_layers = layers_beyond_cache(bytes);
            const OperandId k = program.matmul(x, weights.add(program, f32, kHeads * (kNope + kRope), kLatent + kRope), kNoOperand, "k"),
                            k_b = weights.add(program, q8, kNope, kLatent, kHeads), v_b = weights.add(program, q8, kLatent, kValue, kHeads);
            cost = {bytes * n_layers, 2.0 * kHeads * (2 * kLatent + kRope) * depth * n_rows * n_layers};
            OperandId out = x;
            for (int layer = 0; layer < n_layers; layer++) {
                const auto kv = program.kv().add_layer(kLatent + kRope, 0);
                program.kv_write(k, kNoOperand, *kv);
                if (only_writes) continue;
                out = program.mla_attention(x, k_b, v_b,
                                            {.kv = *kv,
                                             .n_heads = kHeads,
                                             .n_nope = kNope,
                                             .n_rope = kRope,
                                             .n_latent = kLatent,
                                             .v_head_dim = kValue,
                                             .scale = 0.072f});
            }
            return out;
        }};
}

OpBench norm_bench(int32_t n_rows) {
    constexpr int64_t kWidth = 7168;
    return {"rms_norm/7168/rows:" + std::to_string(n_rows), n_rows, 0, kWidth,
            [=](ProgramBuilder& program, Weights& weights, OperandId x, Cost& cost, [[maybe_unused]] bool only_writes) {
                cost = {8.0 * kWidth * n_rows, 4.0 * kWidth * n_rows};
                return program.rms_norm(x, weights.add(program, *find_quant_type(PONDER_TYPE_F32), kWidth, 1), 1e-6f);
            }};
}

// Eight of 32 experts of R1's width in Q4_K.
OpBench moe_bench(int32_t n_rows) {
    constexpr int64_t kWidth = 7168, kHidden = 2048, kExperts = 32, kUsed = 8;
    return {"moe_ffn/7168x2048/8of32/rows:" + std::to_string(n_rows), n_rows, 0, kWidth,
            [=](ProgramBuilder& program, Weights& weights, OperandId x, Cost& cost, [[maybe_unused]] bool only_writes) {
                const QuantType &f32 = *find_quant_type(PONDER_TYPE_F32), &q4 = *find_quant_type("Q4_K");
                const OperandId router = weights.add(program, f32, kWidth, kExperts);
                const auto route = program.moe_route(
                    program.matmul(x, router, kNoOperand, "scores"), kNoOperand,
                    {.n_used = kUsed, .n_groups = 1, .n_groups_used = 1, .gating = PONDER_MOE_SIGMOID, .is_normalised = 1, .scale = 1.0f});
                weights.n_bytes = 0;
                const ProgramBuilder::Experts experts{weights.add(program, q4, kWidth, kHidden, kExperts),
                                                      weights.add(program, q4, kWidth, kHidden, kExperts),
                                                      weights.add(program, q4, kHidden, kWidth, kExperts)};
                const double share = n_rows == 1 ? double{kUsed} / kExperts : 1.0;
                cost = {static_cast<double>(weights.n_bytes) * share, 6.0 * kWidth * kHidden * kUsed * n_rows};
                return program.moe_ffn(x, route, experts);
            }};
}

std::vector<OpBench> op_benches() {
    std::vector<OpBench> benches;
    for (const QuantType& type : quant_types()) {
        if (type.block_len == 1 && type.encode == nullptr && type.id != PONDER_TYPE_F8_E4M3) continue;  // no weights
        for (const int32_t n_rows : {1, 2, 4, 8, 16, 32, 64, 512}) benches.push_back(matmul_bench(type, 1536, 8960, n_rows));
    }
    for (const int32_t n_rows : {1, 512}) benches.push_back(matmul_bench(*find_quant_type("Q4_K"), 7168, 18432, n_rows));
    for (const int32_t depth : {512, 4096, 16384}) {
        for (const int32_t n_rows : {1, 128}) {
            benches.push_back(gqa_bench(depth, n_rows));
            benches.push_back(mla_bench(depth, n_rows));
        }
    }
    for (const int32_t n_rows : {1, 512}) {
        benches.push_back(norm_bench(n_rows));
        benches.push_back(moe_bench(n_rows));
    }
    return benches;
}

void measure(benchmark::State& state, const Device& device, const OpBench& bench) {
    Runner runner(device, bench);
    if (auto prepared = runner.prepare(); !prepared) return state.SkipWithError(prepared.error().message.c_str());
    for ([[maybe_unused]] auto _ : state) {
        if (auto done = runner.run(); !done) return state.SkipWithError(done.error().message.c_str());
    }
    const auto rate = [&](double amount) {
        return benchmark::Counter(amount * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
    };
    state.counters["bytes/s"] = rate(runner.cost().bytes);
    state.counters["flop/s"] = rate(runner.cost().flops);
}

// A row of conformance's table, so that no operator and no type is left out. These are small: what a run costs besides its arithmetic.
void measure_case(benchmark::State& state, const Device& device, const ponder_test::OpCase& c) {
    const ponder_test::Batch batch = ponder_test::make_batch(static_cast<int>(state.range(0)));
    ponder_test::Expected expected;
    const auto prepared = ponder_test::PreparedCase::create(device, c, batch, expected);
    if (!prepared) return state.SkipWithError(prepared.error().message.c_str());
    for ([[maybe_unused]] auto _ : state) {
        if (auto done = (*prepared)->run(0, static_cast<int32_t>(batch.tokens.size())); !done)
            return state.SkipWithError(done.error().message.c_str());
    }
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    const auto slot = choose_device({});
    const auto device = slot ? Device::open(*slot, 0) : Result<std::unique_ptr<Device>>(slot.error());
    if (!device) {
        std::fprintf(stderr, "ponder_bench_ops: %s\n", device.error().message.c_str());
        return 1;
    }
    const std::vector<OpBench> benches = op_benches();
    for (const OpBench& bench : benches)
        benchmark::RegisterBenchmark(bench.name.c_str(), [&](benchmark::State& state) { measure(state, **device, bench); })->UseRealTime();
    const std::vector<ponder_test::OpCase> cases = ponder_test::op_cases();
    for (const ponder_test::OpCase& c : cases) {
        benchmark::RegisterBenchmark(("case/" + c.name).c_str(), [&](benchmark::State& state) { measure_case(state, **device, c); })
            ->Arg(1)
            ->Arg(47)
            ->UseRealTime();
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
