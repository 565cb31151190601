// SPDX-License-Identifier: Apache-2.0
// Weights that are copied give what mapped ones give, and do not depend on the file any more.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/host_memory.hpp"
#include "placement_fixture.hpp"
#include "runtime/synth.hpp"
#include "temp_file.hpp"
#include "test_data.hpp"

using namespace ponder;

namespace {

std::shared_ptr<Model> open_with(const std::string& path, WeightMemory weights) {
    auto model = Model::open(path, {.device = {.backend = ponder_test::host_backend()}, .n_threads = 2, .weights = weights});
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    return *model;
}

// The bytes of a model file, each of its weights alone and all together, through load_weights.
struct Source {
    explicit Source(size_t n) {
        std::vector<std::byte> bytes(n);
        for (size_t i = 0; i < n; i++) bytes[i] = static_cast<std::byte>(i >> 10 ^ i);
        on_disk.write(bytes.data(), n);
        files.push_back(std::move(*MappedFile::open(on_disk.path())));
        expected = std::move(bytes);
    }
    std::span<const std::byte> part(size_t first, size_t n) const { return files[0].bytes().subspan(first, n); }
    bool is_whole() const { return std::equal(files[0].bytes().begin(), files[0].bytes().end(), expected.begin()); }

    ponder_test::TempFile on_disk{"weights"};
    std::vector<MappedFile> files;
    std::vector<std::byte> expected;
};

}  // namespace

TEST_CASE("weight_loading: copied weights answer as mapped ones, and do not fault once the file is gone") {
    for (const std::string shape : {"tiny-qwen2", "tiny-deepseek-v3"}) {
        CAPTURE(shape);
        const ponder_test::TempFile file("copied.gguf");
        REQUIRE(synthesize(shape, file.path(), {.type = "Q4_K_M", .seed = 11}));
        const std::vector<int32_t> prompt(40, 3);
        const auto expected = ponder_test::answer_greedily(open_with(file.path(), WeightMemory::kMapped), prompt, 20);
        const auto model = open_with(file.path(), WeightMemory::kCopied);
        CHECK(ponder_test::answer_greedily(model, prompt, 20).tokens == expected.tokens);
        // Only rows of an embedding still come from the file, and are read, not mapped.
        REQUIRE(::truncate(file.path().c_str(), 0) == 0);
        auto session = *Session::create(model, {.kv_type = PONDER_TYPE_F32});
        const auto evaluated = session->evaluate(prompt, nullptr, 0, {});
        CHECK((evaluated || evaluated.error().status == PONDER_STATUS_IO));
    }
}

TEST_CASE("weight_loading: ranges in any order, with gaps, and what lies in no file") {
    Source source(70'000'000);
    const std::vector<std::byte> constant(64);
    const std::vector<std::span<const std::byte>> weights = {source.part(69'000'000, 1'000'000), std::span<const std::byte>(constant),
                                                             source.part(5, 100), source.part(200, 40'000'000),
                                                             source.part(50'000'001, 1'234'567)};
    std::vector<double> fractions;
    const auto report = [&](double fraction) {
        fractions.push_back(fraction);
        return false;
    };
    REQUIRE(load_weights(source.files, weights, true, 3, report));
    REQUIRE(::truncate(source.on_disk.path().c_str(), 0) == 0);
    for (const auto& range : {weights[0], weights[2], weights[3], weights[4]}) {
        const auto first = range.data() - source.files[0].bytes().data();
        CHECK(std::equal(range.begin(), range.end(), source.expected.begin() + first));
    }
    CHECK(std::is_sorted(fractions.begin(), fractions.end()));
    CHECK(fractions.back() == doctest::Approx(1.0));
}

TEST_CASE("weight_loading: stopped in the middle, the file is as it was") {
    for (const bool copies : {false, true}) {
        Source source(100'000'000);
        const std::vector<std::span<const std::byte>> weights = {source.part(0, 100'000'000)};
        int n_reports = 0;
        const auto stopped = load_weights(source.files, weights, copies, 2, [&](double) { return ++n_reports == 2; });
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().status == PONDER_STATUS_CANCELLED);
        CHECK(source.is_whole());
    }
}

TEST_CASE("weight_loading: a file that became shorter is an error, not a fault") {
    Source source(10'000'000);
    const std::vector<std::span<const std::byte>> weights = {source.part(0, 10'000'000)};
    REQUIRE(::truncate(source.on_disk.path().c_str(), 5'000'000) == 0);
    const auto loaded = load_weights(source.files, weights, true, 2, [](double) { return false; });
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().status == PONDER_STATUS_IO);
    CHECK(loaded.error().message.find(source.on_disk.path()) != std::string::npos);
}

TEST_CASE("weight_loading: weights are copied while threads read them") {
    Source source(150'000'000);
    const std::vector<std::span<const std::byte>> weights = {source.part(1'000, 149'000'000)};
    std::atomic<bool> is_over{false}, is_right{true};
    bool is_whole = false;
    std::vector<std::thread> readers;
    for (size_t t = 0; t < 2; t++) {
        readers.emplace_back([&, t] {
            for (size_t i = t; !is_over; i += 4'097) {
                if (i >= source.expected.size()) i = t;
                if (source.files[0].bytes()[i] != source.expected[i]) is_right = false;
            }
        });
    }
    {
        const WeightCopier copier(source.files, weights, [] { return true; });
        while (!copier.is_done()) std::this_thread::yield();
        is_whole = copier.copied_bytes() == weights[0].size();
    }
    is_over = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(is_right);
    if (!is_whole && memory_available() < 4 * weights[0].size()) {
        MESSAGE("skipped: too little memory is available");
        ponder_test::n_skipped++;
        return;
    }
    REQUIRE(is_whole);
    REQUIRE(::truncate(source.on_disk.path().c_str(), 0) == 0);
    CHECK(std::equal(weights[0].begin(), weights[0].end(), source.expected.begin() + 1'000));
}

TEST_CASE("weight_loading: a copier that is not wanted, or stopped, leaves what is mapped") {
    Source source(150'000'000);
    const std::vector<std::span<const std::byte>> weights = {source.part(0, 150'000'000)};
    {
        const WeightCopier unwanted(source.files, weights, [] { return false; });
        while (!unwanted.is_done()) std::this_thread::yield();
        CHECK(unwanted.copied_bytes() == 0);
    }
    {
        const WeightCopier stopped(source.files, weights, [] { return true; });
    }
    CHECK(source.is_whole());
    CHECK(WeightCopier::start(source.files, std::vector{source.part(0, 1'000)}) == nullptr);
}
