// SPDX-License-Identifier: Apache-2.0
// What drivers claim and should not be believed: variants that are left out by driver, version and kind of device.
#pragma once

#include <cstdint>
#include <span>

#include "vk_dispatch.hpp"

namespace ponder::vk {

enum LeftOut : uint32_t {
    kNoMatrices = 1,  // cooperative matrices, and asking which sizes there are
    kNoIntDot = 2,    // products of four bytes at a time
    kNoHalves = 4,    // half floats, and so cooperative matrices
};

struct Quirk {
    VkDriverId driver;
    VkPhysicalDeviceType type;             // MAX_ENUM: any
    uint32_t first_version, last_version;  // VkPhysicalDeviceProperties::driverVersion, both included
    uint32_t left_out;                     // LeftOut
    const char* reason;                    // for the log
};

struct DriverVersion {
    VkDriverId driver;
    VkPhysicalDeviceType type;
    uint32_t version;
};

bool matches(const Quirk& quirk, const DriverVersion& driver);
std::span<const Quirk> known_quirks();
// All that the table's matching rows leave out, together; each is logged.
uint32_t find_left_out(std::span<const Quirk> table, const DriverVersion& driver);

}  // namespace ponder::vk
