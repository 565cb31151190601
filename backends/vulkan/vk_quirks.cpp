// SPDX-License-Identifier: Apache-2.0
// The table. A row needs a public report of what goes wrong; a row without a last version stays until somebody shows a driver that is
// right. What no row knows about is for the start-up self-test to find.
#include "vk_quirks.hpp"

#include "base/log.hpp"

namespace ponder::vk {

namespace {

constexpr VkPhysicalDeviceType kAnyType = VK_PHYSICAL_DEVICE_TYPE_MAX_ENUM;
constexpr uint32_t kAllLater = ~0u;

constexpr Quirk kQuirks[] = {
    // https://github.com/GPUOpen-Drivers/AMDVLK/issues/422: a Radeon 860M faults inside the driver, and takes the process with it.
    {VK_DRIVER_ID_AMD_PROPRIETARY, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, 0, kAllLater, kNoMatrices,
     "asking for sizes of cooperative matrices crashes the driver"},
    {VK_DRIVER_ID_AMD_OPEN_SOURCE, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, 0, kAllLater, kNoMatrices,
     "asking for sizes of cooperative matrices crashes the driver"},
    // https://github.com/0xShug0/audio.cpp/pull/193 (RX 6800), https://github.com/ollama/ollama/issues/13108 (RX 6650 XT): accelerated by
    // its own account on chips without the instruction, and then wrong. The driver does not say which chip it is.
    {VK_DRIVER_ID_AMD_PROPRIETARY, kAnyType, 0, kAllLater, kNoIntDot, "integer dot products are wrong on some of the driver's chips"},
    // https://github.com/ggml-org/llama.cpp/issues/24005: an Arc Pro B70 under 32.0.101.8826; the whole driver goes down.
    {VK_DRIVER_ID_INTEL_PROPRIETARY_WINDOWS, kAnyType, 0, kAllLater, kNoMatrices, "cooperative matrices crash the driver"},
    // https://github.com/ggml-org/llama.cpp/pull/10597: NaN in most products on an Arc A750.
    {VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, kAnyType, 0, kAllLater, kNoMatrices, "products of cooperative matrices are not numbers"},
};

}  // namespace

bool matches(const Quirk& quirk, const DriverVersion& driver) {
    return quirk.driver == driver.driver && (quirk.type == kAnyType || quirk.type == driver.type) &&
           driver.version >= quirk.first_version && driver.version <= quirk.last_version;
}

std::span<const Quirk> known_quirks() { return kQuirks; }

uint32_t find_left_out(std::span<const Quirk> table, const DriverVersion& driver) {
    uint32_t left_out = 0;
    for (const Quirk& quirk : table) {
        if (!matches(quirk, driver)) continue;
        left_out |= quirk.left_out;
        log_message(PONDER_LOG_INFO, "Vulkan driver %d, version %u: %s; a plainer variant serves", static_cast<int>(driver.driver),
                    driver.version, quirk.reason);
    }
    return left_out;
}

}  // namespace ponder::vk
