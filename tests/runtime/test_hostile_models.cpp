// SPDX-License-Identifier: Apache-2.0
// Damaged model files through the whole path: opened, tokenized, rendered, evaluated. A status or a working model, never a crash, a hang or
// a large allocation.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "gguf_mutator.hpp"
#include "runtime/generation.hpp"
#include "runtime/plan.hpp"
#include "runtime/synth.hpp"
#include "temp_file.hpp"

using namespace ponder;

namespace {

constexpr int kMutations = 2'000;
constexpr double kMaxSeconds = 5.0;
// The tiny models take a few MB; sanitizers, freed memory that the allocator keeps and the test itself share the rest.
constexpr long kMaxGrowthKb = 512 * 1024;

long peak_kb() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

// Returns the message of the first refusal, or "" if everything worked.
std::string use_model(const std::string& path) {
    const auto plan = make_plan(path, {.n_threads = 1}, {});
    auto model = Model::open(path, {.n_threads = 1, .memory_cap = 256u << 20});
    if (!model) return model.error().message;
    CHECK(plan);  // what opens can be planned
    auto session = Session::create(*model, {.context = 64});
    if (!session) return session.error().message;
    std::vector<float> logits(static_cast<size_t>((*model)->hyper_parameters().n_vocab));
    const int32_t tokens[] = {0, 1, 2};
    if (auto done = (*session)->evaluate(tokens, logits.data(), 1, {}); !done) return done.error().message;
    auto generation = Generation::ask(*session, "Is <think> a \xff word?", {.max_tokens = 4});
    if (!generation) return generation.error().message;
    for (;;) {
        Event event;
        if (auto next = (*generation)->next(event); !next) return next.error().message;
        if (event.kind == PONDER_EVENT_DONE) return "";
    }
}

}  // namespace

TEST_CASE("hostile models: 2,000 mutations end in a status or in a working model") {
    std::vector<std::string> bases;
    for (const char* shape : {"tiny-llama", "tiny-qwen2", "tiny-qwen3"}) {
        const ponder_test::TempFile file("base.gguf");
        REQUIRE(synthesize(shape, file.path(), {.type = "Q8_0", .seed = 3}));
        auto bytes = read_file(file.path(), 64 << 20);
        REQUIRE(bytes);
        bases.push_back(std::move(*bytes));
    }
    const ponder_test::TempFile file("mutated.gguf");
    const long before = peak_kb();
    int n_refused = 0, n_worked = 0;
    double slowest = 0.0;
    for (int i = 0; i < kMutations; i++) {
        CAPTURE(i);
        const std::string& base = bases[static_cast<size_t>(i) % bases.size()];
        ponder_test::GgufMutator mutator(std::as_bytes(std::span(base)));
        const auto bytes = mutator.mutate(static_cast<uint64_t>(i));
        file.write(bytes.data(), bytes.size());
        const auto begin = std::chrono::steady_clock::now();
        const std::string refusal = use_model(file.path());
        slowest = std::max(slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        (refusal.empty() ? n_worked : n_refused)++;
        CHECK(refusal.size() < 1024);
    }
    MESSAGE(n_refused << " refused, " << n_worked << " worked, slowest " << slowest << " s, peak growth " << peak_kb() - before << " kB");
    CHECK(n_refused > kMutations / 4);
    CHECK(slowest < kMaxSeconds);
    CHECK(peak_kb() - before < kMaxGrowthKb);
}
