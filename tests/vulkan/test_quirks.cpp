// SPDX-License-Identifier: Apache-2.0
// Which rows of the table of drivers apply.
#include <doctest/doctest.h>

#include <string_view>

#include "vulkan/vk_quirks.hpp"

using namespace ponder::vk;

TEST_CASE("quirks: a row applies to its driver, kind of device and versions alone") {
    constexpr Quirk kRow{VK_DRIVER_ID_MESA_RADV, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 10, 20, kNoMatrices, "a reason"};
    const auto at = [](VkDriverId driver, VkPhysicalDeviceType type, uint32_t version) { return DriverVersion{driver, type, version}; };
    const auto radv = VK_DRIVER_ID_MESA_RADV;
    const auto card = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    for (const uint32_t version : {10u, 15u, 20u}) CHECK(matches(kRow, at(radv, card, version)));
    for (const uint32_t version : {0u, 9u, 21u, ~0u}) CHECK_FALSE(matches(kRow, at(radv, card, version)));
    CHECK_FALSE(matches(kRow, at(VK_DRIVER_ID_NVIDIA_PROPRIETARY, card, 15)));
    CHECK_FALSE(matches(kRow, at(radv, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, 15)));
    constexpr Quirk kAnywhere{VK_DRIVER_ID_MESA_RADV, VK_PHYSICAL_DEVICE_TYPE_MAX_ENUM, 0, ~0u, kNoIntDot, "another"};
    CHECK(matches(kAnywhere, at(radv, VK_PHYSICAL_DEVICE_TYPE_CPU, 0)));
    const Quirk table[] = {kRow, kAnywhere};
    CHECK(find_left_out(table, at(radv, card, 15)) == (kNoMatrices | kNoIntDot));
    CHECK(find_left_out(table, at(radv, card, 21)) == kNoIntDot);
    CHECK(find_left_out({}, at(radv, card, 15)) == 0);
}

TEST_CASE("quirks: every row says what it leaves out and why, and spares the drivers that are right") {
    for (const Quirk& quirk : known_quirks()) {
        CHECK(quirk.left_out != 0);
        CHECK(quirk.first_version <= quirk.last_version);
        CHECK(std::string_view(quirk.reason).size() > 10);
    }
    for (const VkDriverId driver : {VK_DRIVER_ID_MESA_RADV, VK_DRIVER_ID_NVIDIA_PROPRIETARY, VK_DRIVER_ID_MESA_LLVMPIPE})
        CHECK(find_left_out(known_quirks(), {driver, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 1}) == 0);
    CHECK(find_left_out(known_quirks(), {VK_DRIVER_ID_AMD_PROPRIETARY, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, 1}) ==
          (kNoMatrices | kNoIntDot));
}
