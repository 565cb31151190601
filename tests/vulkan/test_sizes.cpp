// SPDX-License-Identifier: Apache-2.0
// Products of the sizes that real models have, for which the backend has other specialisations than for small ones, by way of the
// self-test: what they should give comes from the reference backend.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "device/device.hpp"
#include "device/self_test.hpp"
#include "op/program.hpp"
#include "quant/quant.hpp"
#include "test_data.hpp"

using namespace ponder;

namespace {

// Products of stored type `type` with long rows and many of them. Nobody reads the weights: a self-test makes its own.
Result<Program> make_program(const QuantType& type, std::span<const std::byte> bytes) {
    ProgramBuilder builder;
    const auto weight = [&](int64_t n_in, int64_t n_out) {
        const int64_t dims[] = {n_in, n_out};
        const auto n_bytes = static_cast<size_t>(n_in * n_out / type.block_len) * type.block_bytes;
        const OperandId matrix = builder.add_weight("weight", type.id, dims, bytes.first(n_bytes));
        if (type.id == PONDER_TYPE_F8_E4M3) {
            const int64_t blocks[] = {f8_blocks(n_in), f8_blocks(n_out)};
            const auto n_factor_bytes = static_cast<size_t>(blocks[0] * blocks[1]) * sizeof(float);
            builder.set_scales(matrix, builder.add_weight("factors", PONDER_TYPE_F32, blocks, bytes.first(n_factor_bytes)));
        }
        return matrix;
    };
    const auto input = [&](int64_t width) {
        const int64_t dims[] = {width, 4};
        return builder.embed(builder.add_weight("table", PONDER_TYPE_F32, dims, bytes.first(static_cast<size_t>(width) * 4 * 4)));
    };
    builder.matmul(input(4352), weight(4352, 2048), kNoOperand, "product");
    const OperandId ones = builder.add_constant("ones", std::vector<float>(1024, 1.0f));
    builder.logits(builder.rms_norm(builder.gather_rows(input(1024)), ones, 1e-6f), weight(1024, 8192), kNoOperand);
    return std::move(builder).finish();
}

}  // namespace

TEST_CASE("sizes: products of every stored type with long rows and with many") {
    const std::vector<std::byte> bytes(size_t{4352} * 2048 * 8);
    for (const char* backend : {"vulkan", "vulkan/float32"}) {
        const auto slot = choose_device({.backend = backend});
        auto device = slot ? Device::open(*slot, 1) : slot.error();
        if (!device) {
            ponder_test::n_skipped++;
            MESSAGE("skipped: " << device.error().message);
            return;
        }
        int n_types = 0;
        for (const QuantType& type : quant_types()) {
            if (type.decode == nullptr || 1024 % type.block_len != 0) continue;
            // The rare ones on the best variant alone: a software device takes seconds for each.
            if (type.encode == nullptr && !slot->variant.empty()) continue;
            CAPTURE(std::string(type.name));
            const auto program = make_program(type, bytes);
            REQUIRE_MESSAGE(program, (program ? "" : program.error().message));
            if (!(*device)->check_support(program->view())) continue;
            const auto tested = test_operators(**device, program->view());
            CHECK_MESSAGE(tested, (tested ? "" : tested.error().message));
            n_types++;
        }
        CHECK(n_types > (slot->variant.empty() ? 25 : 10));
    }
}
