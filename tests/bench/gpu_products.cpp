// SPDX-License-Identifier: Apache-2.0
// Measures a Vulkan device: its copy bandwidth, the cost of a dependent dispatch, and products of real shapes in several cuts.
// Usage: gpu_products [DEVICE [SCALE]]; shapes are divided by SCALE, for devices that are played by a processor.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "vulkan/ops/elementwise.hpp"
#include "vulkan/ops/product.hpp"

using namespace ponder;
using namespace ponder::vk;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Bench {
    Device& device;
    VkFence fence;
    ponder_program program{};
    Layout layout;
    RunData data{device, program};
    PlacedWeights weights;
    Allocation scratch, none;

    // Seconds that one of `n` repetitions of what `record` records takes, the best of three.
    template <class Record>
    double time(int n, const Record& record) {
        std::vector<Segment> segments;
        Recorder recorder(device, segments);
        const Recording r{device, recorder, program, layout, data, weights, scratch.address, scratch, none, none, 0, 1, 1};
        for (int i = 0; i < n; i++) record(r, i);
        if (auto done = recorder.finish(); !done) {
            std::printf("failed: %s\n", done.error().message.c_str());
            return 1.0;
        }
        double best = 1e9;
        for (int tries = 0; tries < 4; tries++) {
            const double start = now();
            for (const Segment& segment : segments) {
                if (auto done = device.submit_and_wait(segment.commands, fence); !done) {
                    std::printf("failed: %s\n", done.error().message.c_str());
                    return 1.0;
                }
            }
            if (tries > 0) best = std::min(best, now() - start);
        }
        for (const Segment& segment : segments)
            device.fn().FreeCommandBuffers(device.handle(), device.command_pool(), 1, &segment.commands);
        return best / n;
    }
};

std::unique_ptr<DeviceWeight> make_weight(Device& device, const char* type_name, int64_t n_in, int64_t n_out, uint64_t& n_bytes) {
    const QuantType& type = *find_quant_type(std::string_view(type_name));
    n_bytes = *row_bytes(type, static_cast<uint64_t>(n_in)) * static_cast<uint64_t>(n_out);
    std::vector<std::byte> bytes(n_bytes);
    std::minstd_rand random(1);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random() >> 8 & 0x3b);  // scales stay finite
    auto weight = upload(device, type, n_in, n_out, {bytes.data()}, {});
    if (!weight) {
        std::printf("failed: %s\n", weight.error().message.c_str());
        return nullptr;
    }
    return std::move(*weight);
}

Product product_of(const Bench& bench, const DeviceWeight& weight, uint32_t n_rows, int i) {
    // Sources and results of neighbouring repetitions differ, so that they overlap as those of a layer may.
    const uint64_t src = bench.scratch.address, dst = bench.scratch.address + (uint64_t{32} << 20) + (i % 2) * (uint64_t{96} << 20);
    return {.weight = &weight,
            .n_out = weight.slice_rows,
            .n_rows = n_rows,
            .src = src,
            .dst = dst,
            .src_stride = weight.n_cols,
            .dst_stride = (weight.slice_rows + 3) / 4 * 4,
            .slice_rows = weight.slice_rows,
            .src_bytes = 4,
            .dst_bytes = 4};
}

void measure_shape(Bench& bench, const char* type, int64_t n_in, int64_t n_out, bool is_gated) {
    n_in = std::max<int64_t>(256, n_in / 256 * 256);
    uint64_t n_bytes = 0;
    // Several copies, so that no cache holds what the next repetition reads.
    const int n_copies = static_cast<int>(std::clamp<int64_t>((int64_t{400} << 20) / (n_in * n_out / 2 + 1), 1, 24));
    std::vector<std::unique_ptr<DeviceWeight>> weights;
    for (int i = 0; i < n_copies + (is_gated ? 1 : 0); i++) {
        weights.push_back(make_weight(bench.device, type, n_in, n_out, n_bytes));
        if (weights.back() == nullptr) return;
    }
    if (is_gated) n_bytes *= 2;
    std::printf("%s %lld x %lld%s, %.1f MB\n", type, static_cast<long long>(n_in), static_cast<long long>(n_out), is_gated ? " gated" : "",
                static_cast<double>(n_bytes) / 1e6);
    for (const uint32_t lanes : {8u, 16u, 32u}) {
        for (const uint32_t rows : {1u, 2u, 4u}) {
            for (const uint32_t threads : {128u, 256u}) {
                const MatvecShape shape{threads, rows, 1, 128u, lanes};
                const double t = bench.time(48, [&](const Recording& r, int i) {
                    Product p = product_of(bench, *weights[static_cast<size_t>(i % n_copies)], 1, i);
                    if (is_gated) p.gated = weights[static_cast<size_t>(i % n_copies) + 1].get();
                    record_product(r, p, &shape);
                });
                std::printf("  matvec threads %3u rows %u lanes %2u: %8.2f us, %7.1f GB/s\n", threads, rows, lanes, t * 1e6,
                            static_cast<double>(n_bytes) / t / 1e9);
            }
        }
    }
    if (is_gated) return;
    for (const uint32_t n_rows : {4u, 128u}) {
        const double t = bench.time(6, [&](const Recording& r, int i) {
            record_product(r, product_of(bench, *weights[static_cast<size_t>(i % n_copies)], n_rows, i));
        });
        std::printf("  %3u rows: %8.2f us, %7.1f GB/s, %6.2f TFLOP/s\n", n_rows, t * 1e6, static_cast<double>(n_bytes) / t / 1e9,
                    2.0 * static_cast<double>(n_in * n_out) * n_rows / t / 1e12);
    }
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const int index = argc > 1 ? std::atoi(argv[1]) : 0;
    const int64_t scale = argc > 2 ? std::max(1, std::atoi(argv[2])) : 1;
    auto device = Device::open(index, {});
    if (!device) {
        std::printf("skipped: %s\n", device.error().message.c_str());
        return 77;
    }
    const DeviceTraits& t = (*device)->traits();
    std::printf("%s: %s; subgroups of %u, %u bytes shared, %s*, cooperative matrices %u x %u x %u\n", t.name.c_str(), t.description.c_str(),
                t.subgroup_size, t.shared_bytes, shader_prefix(t.tiles), t.matrix.m, t.matrix.n, t.matrix.k);
    auto fence = (*device)->make_fence();
    if (!fence) return 1;
    Bench bench{.device = **device, .fence = *fence};
    auto scratch = (*device)->memory().allocate(uint64_t{256} << 20, MemoryKind::kDevice);
    if (!scratch) return 1;
    bench.scratch = *scratch;

    const uint64_t half = (uint64_t{1} << 30) / static_cast<uint64_t>(scale);
    auto from = (*device)->memory().allocate(half, MemoryKind::kDevice), to = (*device)->memory().allocate(half, MemoryKind::kDevice);
    if (from && to) {
        const double s = bench.time(8, [&](const Recording& r, int) { r.recorder.copy(*from, 0, *to, 0, half); });
        std::printf("copy bandwidth %.1f GB/s (bytes read and bytes written)\n", 2.0 * static_cast<double>(half) / s / 1e9);
        (*device)->memory().free(*from);
        (*device)->memory().free(*to);
    }
    const double tiny = bench.time(200, [&](const Recording& r, int) {
        record_swiglu_rows(r, bench.scratch.address, bench.scratch.address + 4096, bench.scratch.address, 256, 256, 1);
    });
    std::printf("a dispatch that waits for the one before: %.2f us\n", tiny * 1e6);
    measure_shape(bench, "Q4_K", 4096 / scale, 4096 / scale, false);
    measure_shape(bench, "Q4_K", 4096 / scale, 14336 / scale, true);
    measure_shape(bench, "Q6_K", 14336 / scale, 4096 / scale, false);
    measure_shape(bench, "Q6_K", 4096 / scale, 128256 / scale, false);
    measure_shape(bench, "Q4_K", 1536 / std::min<int64_t>(scale, 2), 8960 / scale, false);
    (*device)->memory().free(bench.scratch);
    (*device)->fn().DestroyFence((*device)->handle(), *fence, nullptr);
    return 0;
}
