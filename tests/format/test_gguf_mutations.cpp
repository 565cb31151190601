// SPDX-License-Identifier: Apache-2.0
// 2,000 seeded mutations of GGUF files: each must end in a model or a status, soon, and within a bound on memory.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "format/gguf_bytes.hpp"
#include "format/gguf_reader.hpp"
#include "gguf_mutator.hpp"

namespace {

// Bytes asked of operator new in this program, never reduced: an upper bound of what lives at any time.
std::atomic<uint64_t> n_allocated{0};

}  // namespace

void* operator new(size_t size) {
    n_allocated.fetch_add(size, std::memory_order_relaxed);
    void* memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace {

using ponder_test::GgufBytes;

// A file with as many small things as possible: what costs most memory a byte.
GgufBytes crowded_model() {
    constexpr int kTensors = 100, kKeys = 100, kTokens = 1000;
    GgufBytes file;
    file.header(kTensors, kKeys + 1);
    for (int i = 0; i < kKeys; ++i) file.key("k" + std::to_string(i), 0).put<uint8_t>(1);
    file.key_array("tokens", 8, kTokens);
    for (int i = 0; i < kTokens; ++i) file.string("");
    for (int i = 0; i < kTensors; ++i) file.tensor(std::to_string(i), {1}, 0, 32u * static_cast<uint64_t>(i));
    return file.pad().zeros(32 * kTensors);
}

GgufBytes large_shapes() {
    GgufBytes file;
    file.header(4, 2).key_u32("llama.embedding_length", 256).key_string("general.architecture", "llama");
    file.tensor("a", {256, 4}, 12, 0).tensor("b", {32, 2, 3, 2}, 8, 576).tensor("c", {16}, 1, 992).tensor("d", {3, 3}, 30, 1024);
    return file.pad().zeros(1088);
}

// The densest tables: a key of 14 bytes in the file takes about 140 in memory, a tensor of 33 bytes about 330. The constant covers
// messages.
constexpr uint64_t max_bytes_allocated(uint64_t file_bytes) { return 12 * file_bytes + 8'192; }

}  // namespace

TEST_CASE("gguf_reader: 2,000 mutated files end in a status, in time and in memory") {
    const ponder_test::TemporaryFolder folder;
    const GgufBytes bases[] = {ponder_test::small_model(), ponder_test::small_model(2, 64), crowded_model(), large_shapes()};
    size_t n_opened = 0, n_refused = 0;
    double slowest = 0, most_allocated = 0;
    for (const GgufBytes& base : bases) {
        REQUIRE(ponder::read_gguf_bytes(base, "base"));
        ponder_test::GgufMutator mutator(base);
        for (uint64_t seed = 0; seed < 500; ++seed) {
            const std::vector<std::byte> bytes = mutator.mutate(seed);
            const std::string path = folder.write("mutated.gguf", bytes);
            const auto start = std::chrono::steady_clock::now();
            const uint64_t allocated_before = n_allocated;
            const auto model = ponder::read_gguf(path);
            const uint64_t allocated = n_allocated - allocated_before;
            slowest = std::max(slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
            const uint64_t bound = max_bytes_allocated(bytes.size());
            most_allocated = std::max(most_allocated, static_cast<double>(allocated) / static_cast<double>(bound));
            CHECK_MESSAGE(allocated <= bound, "seed " << seed);
            if (model) {
                ++n_opened;
                for (const auto& tensor : model->tensors) CHECK(tensor.file_offset + tensor.data.size() <= bytes.size());
                continue;
            }
            ++n_refused;
            CHECK_MESSAGE(model.error().status != PONDER_STATUS_OK, "seed " << seed);
            CHECK_MESSAGE(model.error().message.find("mutated.gguf: ") != std::string::npos, model.error().message);
        }
    }
    MESSAGE(n_opened << " opened, " << n_refused << " refused, slowest " << slowest << " s, at most " << most_allocated
                     << " of the memory bound");
    CHECK(slowest < 5);
    CHECK(n_opened + n_refused == 2000);
    CHECK(n_refused > 1000);
}
