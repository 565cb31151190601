// SPDX-License-Identifier: Apache-2.0
// Asks a device to compute what the reference backend computes too, before anybody relies on it: drivers are wrong more often than they
// fail.
#pragma once

#include "device/device.hpp"

namespace ponder {

// Tests each kind of operator of `program`, on each stored type that it is used with, with one row and with many: products of a size that
// stands for the model's, with the norm before them; sums and gates with their products before them, on small matrices; routes with the
// model's gating; logits also by selection. What the device has passed before, by the cache that it was given, is not tested again. Types
// that cannot be encoded are left out. Errors: DEVICE, naming operator, device, driver and error; what the device itself reports, such as
// DEVICE_LOST or OUT_OF_MEMORY.
Result<void> test_operators(Device& device, const ponder_program& program);

}  // namespace ponder
