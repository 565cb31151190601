// SPDX-License-Identifier: Apache-2.0
// Which products of many source rows a device gets.
#include <doctest/doctest.h>

#include <algorithm>

#include "mock_loader.hpp"
#include "test_data.hpp"
#include "vulkan/vk_device.hpp"

using namespace ponder::vk;
using ponder_test::faults;
using ponder_test::MockLoader;

namespace {

// Null, and the program ends as skipped, where there is no device to test.
const DeviceTraits* find_usable() {
    for (const DeviceTraits& traits : known_devices()) {
        if (traits.unusable.empty()) return &traits;
    }
    ponder_test::n_skipped++;
    MESSAGE("skipped: no Vulkan device");
    return nullptr;
}

Tiles tiles_of_first() { return known_devices().at(0).tiles; }

}  // namespace

TEST_CASE("tiles: of the listed sizes the deepest that subgroups can share out") {
    const auto choose = [](std::initializer_list<MatrixSizes> all, uint32_t subgroup_size) {
        const MatrixSizes best = choose_sizes(std::span(all.begin(), all.size()), subgroup_size);
        return std::vector<uint32_t>{best.m, best.n, best.k};
    };
    const std::vector<uint32_t> none(3);
    CHECK(choose({{16, 16, 8}, {16, 16, 16}, {16, 8, 8}}, 32) == std::vector<uint32_t>{16, 16, 16});
    CHECK(choose({{16, 16, 16}}, 64) == std::vector<uint32_t>{16, 16, 16});
    CHECK(choose({{8, 8, 16}}, 8) == std::vector<uint32_t>{8, 8, 16});
    CHECK(choose({{16, 16, 16}}, 8) == none);  // 16 fragments for 32 subgroups
    CHECK(choose({{24, 24, 24}, {128, 16, 16}, {32, 32, 16}, {16, 16, 0}}, 32) == none);
    CHECK(choose({}, 32) == none);
}

TEST_CASE("tiles: the build has the shaders of every device, with half floats too") {
    CHECK(has_shaders(Tiles::kFloats));
    CHECK(has_shaders(Tiles::kHalves));
}

TEST_CASE("tiles: half floats where the device has them, float32 where it is told to keep to that") {
    if (find_usable() == nullptr) return;
    auto plain = Device::open(0, {.n_threads = 1, .is_plain = true});
    REQUIRE(plain);
    CHECK((*plain)->traits().tiles == Tiles::kFloats);
    const MockLoader mock;
    faults().has_no_halves = true;
    MockLoader::probe_again();
    CHECK(tiles_of_first() == Tiles::kFloats);
    auto without = Device::open(0, {.n_threads = 1});
    REQUIRE(without);
    CHECK((*without)->traits().tiles == Tiles::kFloats);
}

TEST_CASE("tiles: NVIDIA's matrices where the device lists them and their sizes divide, and the device is asked for them") {
    if (find_usable() == nullptr) return;
    if (tiles_of_first() == Tiles::kFloats || !has_shaders(Tiles::kMatricesNv)) {
        ponder_test::n_skipped++;
        MESSAGE("skipped: the device has no half floats, or the build no shaders for NVIDIA's extension");
        return;
    }
    const MockLoader mock;
    faults().nv_matrix = 24;
    MockLoader::probe_again();
    CHECK(tiles_of_first() == Tiles::kHalves);
    faults().nv_matrix = 16;
    MockLoader::probe_again();
    const DeviceTraits& traits = known_devices().at(0);
    CHECK(traits.tiles == Tiles::kMatricesNv);
    CHECK(traits.matrix.m == 16);
    CHECK(traits.matrix.n == 16);
    CHECK(traits.matrix.k == 16);
    faults().cannot_open = true;
    CHECK_FALSE(Device::open(0, {.n_threads = 1}));
    const auto asked = [](const char* name) {
        const auto& all = faults().asked_extensions;
        return std::find(all.begin(), all.end(), name) != all.end();
    };
    CHECK(asked(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME));
    CHECK_FALSE(asked(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME));
    CHECK_FALSE(Device::open(0, {.n_threads = 1, .is_plain = true}));
    CHECK_FALSE(asked(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME));
    faults().has_no_halves = true;
    MockLoader::probe_again();
    CHECK(tiles_of_first() == Tiles::kFloats);
}
