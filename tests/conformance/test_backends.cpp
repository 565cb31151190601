// SPDX-License-Identifier: Apache-2.0
// Every operator case on every usable device of this build, against the double-precision expectation.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "case_run.hpp"
#include "test_data.hpp"

using namespace ponder;
using namespace ponder_test;

namespace {

// Devices other than the host may take numbers below float32's normal range for 0 (VK_KHR_shader_float_controls).
double normalised_error(const std::vector<float>& got, const Expected& expected, bool is_host = true) {
    double error = 0.0, power = 0.0;
    size_t i = 0;
    for (const auto& row : expected.rows) {
        for (const double v : row) {
            const double is = got[i++];
            if (!is_host && is == 0.0 && std::abs(v) < double{std::numeric_limits<float>::min()}) continue;
            const double difference = is - v;
            error += difference * difference;
            power += v * v;
        }
    }
    power = std::max(power, expected.power);
    return power > 0.0 ? error / power : error;
}

// The rows that a case's program computes on a device. The last n_last rows are a run of their own.
Result<std::vector<float>> run_case(const Device& device, const OpCase& c, const Batch& batch, Expected& expected, int32_t n_last = 0) {
    auto prepared = PreparedCase::create(device, c, batch, expected);
    if (!prepared) return prepared.error();
    const auto n_rows = static_cast<int32_t>(batch.tokens.size());
    if (auto done = (*prepared)->run(0, n_rows - n_last); !done) return done.error();
    if (n_last > 0) {
        if (auto done = (*prepared)->run(n_rows - n_last, n_last); !done) return done.error();
    }
    return (*prepared)->results();
}

// What a device's products may be off by: backends that take activations in int8, or in half floats on cooperative matrices. A half float
// is off by 2^-12 at most, so a product's error is near 1e-8 of its power, and some results pass two.
double limit_of(const DeviceSlot& slot, const OpCase& c) {
    const std::string name = slot.backend->name;
    // Two bfloat16 numbers in place of one float are off by 2^-18 at most, 1e-11 of the power.
    if (name == "cpu") return std::max(c.limit, c.is_of_floats ? 5e-11 : c.rounded_limit);
    if (name != "vulkan") return c.limit;
    // The best variant rounds activations, to half floats or int8.
    return std::max(c.limit, slot.variant.empty() ? c.rounded_limit : 0.0);
}

// Every device of the backends that compute in host memory, or of the others, and on it every variant that it has. "validated" is no
// implementation of its own; it repeats everything under the validation layer (tests/vulkan does that for the driver's sake).
std::vector<DeviceSlot> device_slots(bool is_host) {
    std::vector<DeviceSlot> slots;
    for (int32_t index = 0; index < device_count(); index++) {
        const DeviceSlot slot = *find_device(index);
        if ((std::string(slot.backend->name) != "vulkan") != is_host) continue;
        for (const char* variant : {"", "avx512", "avx2", "i8mm", "neon", "generic", "float32"}) {
            slots.push_back(slot);
            slots.back().variant = variant;
        }
    }
    return slots;
}

int run_all(bool is_host) {
    int n_run = 0;
    for (const DeviceSlot& slot : device_slots(is_host)) {
        auto device = Device::open(slot, 2);
        if (!device) {
            if (slot.variant.empty())
                MESSAGE("skipped: device " << slot.global_index << " of " << slot.backend->name << ": " << device.error().message);
            continue;
        }
        for (const OpCase& c : op_cases()) {
            for (const int n_rows : {1, 2, 3, 5, 47}) {
                CAPTURE(std::string(slot.backend->name));
                CAPTURE(slot.variant);
                CAPTURE(c.name);
                CAPTURE(n_rows);
                Expected expected;
                const auto got = run_case(**device, c, make_batch(n_rows), expected);
                REQUIRE_MESSAGE(got, (got ? "" : got.error().message));
                const double error = normalised_error(*got, expected, is_host);
                CHECK(error <= limit_of(slot, c));
                n_run++;
            }
        }
    }
    MESSAGE(n_run << " runs");
    return n_run;
}

}  // namespace

// Rows that decode alone behind a long past, whose caches are read in spans: on every host device, and the same for 1 and 3 threads.
TEST_CASE("conformance: attention to long caches in host memory") {
    for (const DeviceSlot& slot : device_slots(true)) {
        const auto one = Device::open(slot, 1), three = Device::open(slot, 3);
        if (!one || !three) continue;
        for (const OpCase& c : long_attention_cases()) {
            CAPTURE(std::string(slot.backend->name));
            CAPTURE(slot.variant);
            CAPTURE(c.name);
            for (const std::vector<int32_t>& lengths : {std::vector<int32_t>{257}, {400, 2, 300}}) {
                CAPTURE(lengths[0]);
                const auto n_last = static_cast<int32_t>(lengths.size());
                Expected expected;
                const auto got = run_case(**one, c, make_long_batch(lengths), expected, n_last);
                REQUIRE_MESSAGE(got, (got ? "" : got.error().message));
                const auto width = got->size() / expected.rows.size(), n_before = expected.rows.size() - lengths.size();
                const std::vector<float> last(got->begin() + static_cast<ptrdiff_t>(n_before * width), got->end());
                const Expected of_last{{expected.rows.begin() + static_cast<ptrdiff_t>(n_before), expected.rows.end()}};
                CHECK(normalised_error(last, of_last) <= limit_of(slot, c));
                CHECK(normalised_error(*got, expected) <= limit_of(slot, c));  // rows of prompts, over several pages and tiles
                Expected again;
                const auto other = run_case(**three, c, make_long_batch(lengths), again, n_last);
                REQUIRE(other);
                CHECK(*other == *got);
            }
        }
    }
}

TEST_CASE("conformance: every operator on every device in host memory") { CHECK(run_all(true) > 0); }

TEST_CASE("conformance: every operator on every GPU") {
    if (run_all(false) > 0) return;
    n_skipped++;
    MESSAGE("skipped: no Vulkan device");
}
