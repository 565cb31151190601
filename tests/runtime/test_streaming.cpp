// SPDX-License-Identifier: Apache-2.0
// Models whose experts are streamed: the source that a backend asks, and whole models under a memory cap.
#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "model/architecture.hpp"
#include "runtime/expert_source.hpp"
#include "runtime/model.hpp"
#include "runtime/model_source.hpp"
#include "runtime/session.hpp"
#include "runtime/synth.hpp"
#include "temp_file.hpp"

using namespace ponder;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A program with streamed experts, a cache with room for `n_kept` gates, and the source over both.
struct SourceFixture {
    explicit SourceFixture(uint64_t n_kept = 1000) : place("model.gguf") {
        REQUIRE(synthesize("tiny-deepseek-v3", place.path(), {.type = "Q8_0", .seed = 4}));
        auto read = read_model_file(place.path());
        REQUIRE(read);
        file = std::move(*read);
        auto built = build_graph(file, {.is_streaming = true});
        REQUIRE(built);
        graph = std::make_unique<ModelGraph>(std::move(*built));
        for (const ponder_op& op : graph->program.ops()) {
            if (op.kind == PONDER_OP_MOE_FFN) layers.push_back({op.src[3], op.src[4], op.src[5]});
        }
        REQUIRE(layers.size() == 2);
        auto made = ExpertCache::create(file.files, n_kept * slice_bytes(layers[0][0]));
        REQUIRE(made);
        cache = std::move(*made);
        source = std::make_unique<ExpertSource>(graph->program, *cache);
    }

    const ponder_operand& weight(int32_t id) const { return graph->program.operands()[static_cast<size_t>(id)]; }
    size_t slice_bytes(int32_t id) const { return weight(id).n_bytes / static_cast<uint64_t>(weight(id).dims[2]); }
    void prefetch(int32_t id, std::vector<int32_t> slices, bool is_guess) const {
        const ponder_slice_source& view = *source->view();
        view.prefetch(view.user_data, id, slices.data(), static_cast<int32_t>(slices.size()), is_guess);
    }

    ponder_test::TempFile place;
    ModelFile file;
    std::unique_ptr<ModelGraph> graph;
    std::unique_ptr<ExpertCache> cache;
    std::unique_ptr<ExpertSource> source;
    std::vector<std::vector<int32_t>> layers;  // gate, up, down of each layer with experts
};

// One model file for all tests: some 150 MB, as the process's own share of a cap is larger than a tiny model.
const std::string& large_model() {
    static const ponder_test::TempFile file("large.gguf");
    static const auto made = synthesize("tiny-deepseek-v3", file.path(), {.n_layers = 7, .n_experts = 256, .type = "F32"});
    REQUIRE(made);
    return file.path();
}

struct Opened {
    explicit Opened(uint64_t memory_cap) {
        auto opened = Model::open(large_model(), {.n_threads = 1, .memory_cap = memory_cap});
        INFO((opened ? "" : opened.error().message));
        REQUIRE(opened);
        model = std::move(*opened);
        auto created = Session::create(model, {.context = 256});
        REQUIRE(created);
        session = std::move(*created);
    }

    // Logits of the last of `n` tokens, which are appended.
    std::vector<float> evaluate(size_t n) const {
        std::vector<int32_t> tokens(n);
        for (size_t i = 0; i < n; i++) tokens[i] = static_cast<int32_t>(i * 7 % 500);
        std::vector<float> logits(static_cast<size_t>(model->hyper_parameters().n_vocab));
        const auto done = session->evaluate(tokens, logits.data(), 1, {});
        INFO((done ? "" : done.error().message));
        REQUIRE(done);
        return logits;
    }

    std::shared_ptr<Model> model;
    std::shared_ptr<Session> session;
};

// Waits for what the cache's own threads do.
template <class Condition>
bool comes_true(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace

TEST_CASE("expert_source: every matrix that is acquired holds the file's bytes") {
    const SourceFixture f;
    const ponder_slice_source& view = *f.source->view();
    for (const auto& layer : f.layers) {
        for (const int32_t id : layer) {
            REQUIRE(f.weight(id).is_streamed == 1);
            for (const int32_t slice : {0, 7, 15}) {
                ponder_error err{};
                const void* data = view.acquire(view.user_data, id, slice, &err);
                REQUIRE(data != nullptr);
                const auto* stored = static_cast<const std::byte*>(f.weight(id).host_data) + static_cast<size_t>(slice) * f.slice_bytes(id);
                CHECK(data != stored);
                CHECK(std::memcmp(data, stored, f.slice_bytes(id)) == 0);
                view.release(view.user_data, id, slice);
            }
        }
    }
}

TEST_CASE("expert_source: a failure to read comes with its words") {
    const SourceFixture f;
    REQUIRE(::truncate(f.place.path().c_str(), 1000) == 0);
    const ponder_slice_source& view = *f.source->view();
    ponder_error err{};
    CHECK(view.acquire(view.user_data, f.layers[0][0], 3, &err) == nullptr);
    CHECK(err.status == PONDER_STATUS_IO);
    CHECK(std::string(err.message).find("model.gguf: ends before byte") != std::string::npos);
}

TEST_CASE("expert_source: demands and guesses are told apart") {
    const SourceFixture f;
    f.prefetch(f.layers[0][0], {1, 2, 3}, false);
    CHECK(f.cache->statistics().n_demanded == 3);
    f.prefetch(f.layers[1][0], {4, 5}, true);
    CHECK(f.cache->statistics().n_demanded == 3);
    const ponder_slice_source& view = *f.source->view();
    for (const int32_t slice : {1, 2, 3}) {
        ponder_error err{};
        CHECK(view.acquire(view.user_data, f.layers[0][0], slice, &err) != nullptr);
        view.release(view.user_data, f.layers[0][0], slice);
    }
    f.prefetch(f.layers[1][0], {5}, false);
    const ExpertCacheStatistics s = f.cache->statistics();
    CHECK(s.n_demanded == 4);
    CHECK(s.n_guessed <= 2);
}

TEST_CASE("expert_source: what an abandoned run asked for makes room") {
    const SourceFixture f(2);
    const int32_t gate = f.layers[0][0];
    f.prefetch(gate, {0, 1}, false);
    REQUIRE(comes_true([&] { return f.cache->statistics().bytes_read == 2 * f.slice_bytes(gate); }));
    f.source->abandon();
    f.prefetch(gate, {2}, true);
    CHECK(comes_true([&] { return f.cache->statistics().n_guessed == 1; }));
}

TEST_CASE("expert_source: the largest expert is its gate, up and down together") {
    const SourceFixture f;
    uint64_t n_bytes = 0;
    for (const int32_t id : f.layers[0]) n_bytes += f.slice_bytes(id);
    CHECK(ExpertSource::largest_expert(f.graph->program) == n_bytes);
    auto resident = build_graph(f.file, {});
    REQUIRE(resident);
    CHECK(ExpertSource::largest_expert(resident->program) == 0);
}

TEST_CASE("streaming: a model under a cap computes what it computes in memory") {
    const Opened whole(0), streamed(96 * kMiB);
    CHECK_FALSE(whole.model->is_streaming());
    REQUIRE(streamed.model->is_streaming());
    for (const size_t n : {40, 1, 1, 1}) CHECK(whole.evaluate(n) == streamed.evaluate(n));

    const ponder_streaming_info none = whole.model->streaming_info(), info = streamed.model->streaming_info();
    CHECK(none.is_streaming == 0);
    CHECK(none.n_tokens == 43);
    CHECK(none.n_demanded == 0);
    CHECK(info.is_streaming == 1);
    CHECK(info.n_tokens == 43);
    CHECK(info.capacity_bytes < 96 * kMiB);
    CHECK(info.held_bytes <= info.capacity_bytes);
    CHECK(info.held_bytes > 0);
    const uint64_t matrix_bytes = 128 * 64 * sizeof(float);
    CHECK(info.bytes_read % matrix_bytes == 0);
    CHECK(info.n_demanded % 3 == 0);
    CHECK(info.n_hits <= info.n_demanded);
    CHECK(info.n_guesses_used <= info.n_guessed);
    // What a layer needed had been read at some time.
    CHECK(info.bytes_read / matrix_bytes >= static_cast<uint64_t>(info.n_demanded - info.n_hits));
}

TEST_CASE("streaming: a cap below what must stay and one expert is refused with both numbers") {
    auto refused = Model::open(large_model(), {.n_threads = 1, .memory_cap = 8 * kMiB});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == PONDER_STATUS_MEMORY_CAP);
    CHECK(refused.error().message.find("not even one fits") != std::string::npos);
}

TEST_CASE("streaming: after a cancelled run, the next one is as if it had not been") {
    const Opened streamed(96 * kMiB), fresh(96 * kMiB);
    std::thread canceller([&] {
        while (streamed.model->streaming_info().n_demanded == 0) std::this_thread::yield();
        streamed.session->cancel();
    });
    const std::vector<int32_t> tokens(200, 3);
    const auto done = streamed.session->evaluate(tokens, nullptr, 0, {});
    canceller.join();
    REQUIRE_FALSE(done);
    CHECK(done.error().status == PONDER_STATUS_CANCELLED);
    streamed.session->begin_operation();
    CHECK(streamed.evaluate(20) == fresh.evaluate(20));
}
