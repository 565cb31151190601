// SPDX-License-Identifier: Apache-2.0
// Rows that leave a program for the host's memory and come back, on every usable device of this build.
#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "case_run.hpp"

using namespace ponder;
using namespace ponder_test;

namespace {

constexpr int64_t kTokens = 64;

std::vector<float> numbers(int64_t n) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<float>((i * 37 + 11) % 101) - 50.0f;
    return values;
}

// Rows of a table to the host and, negated there, back and out as logits.
Result<std::vector<float>> send_and_receive(const Device& device, int32_t n_rows, int64_t width) {
    const std::vector<float> table = numbers(kTokens * width);
    std::vector<float> identity(static_cast<size_t>(width * width), 0.0f);
    for (int64_t i = 0; i < width; i++) identity[static_cast<size_t>(i * width + i)] = 1.0f;
    ProgramBuilder builder;
    const int64_t table_dims[] = {width, kTokens}, identity_dims[] = {width, width};
    builder.send(builder.embed(builder.add_weight("table", PONDER_TYPE_F32, table_dims, std::as_bytes(std::span(table)))), 0);
    const OperandId received = builder.add_activation("received", width);
    builder.receive(received, 0);
    builder.logits(builder.gather_rows(received),
                   builder.add_weight("identity", PONDER_TYPE_F32, identity_dims, std::as_bytes(std::span(identity))), kNoOperand);
    CompiledProgram compiled;
    if (auto done = compiled.compile(device, std::move(builder), n_rows, n_rows); !done) return done.error();

    std::vector<int32_t> rows(static_cast<size_t>(n_rows)), sequences(rows.size(), 0);
    std::iota(rows.begin(), rows.end(), 0);
    const std::vector<int32_t> pages(2, 0);
    const ponder_kv_sequence kv{pages.data(), 2};
    std::vector<float> got(static_cast<size_t>(n_rows * width), 0.0f), on_host(got.size(), 0.0f);
    float* const transfers[] = {on_host.data()};
    ponder_run run{.struct_size = sizeof run,
                   .n_rows = n_rows,
                   .tokens = rows.data(),
                   .positions = rows.data(),
                   .sequences = sequences.data(),
                   .kv = &kv,
                   .n_sequences = 1,
                   .n_outputs = n_rows,
                   .output_rows = rows.data(),
                   .logits = got.data(),
                   .pages_per_arena = 1,
                   .first_op = 0,
                   .n_ops = 2,
                   .transfers = transfers,
                   .n_transfers = 1};
    if (auto done = compiled.plan.run(run); !done) return done.error();
    for (size_t i = 0; i < on_host.size(); i++) {
        CHECK(on_host[i] == table[i]);
        on_host[i] = -on_host[i];
    }
    run.first_op = 2;
    run.n_ops = static_cast<int32_t>(compiled.program->ops().size()) - 2;
    if (auto done = compiled.plan.run(run); !done) return done.error();
    for (size_t i = 0; i < got.size(); i++) CHECK(got[i] == -table[i]);

    // A batch that lacks the host's rows, or asks for operators that there are not, is refused.
    run.n_transfers = 0;
    CHECK_FALSE(compiled.plan.run(run));
    run.n_transfers = 1;
    run.n_ops = 100;
    CHECK_FALSE(compiled.plan.run(run));
    return got;
}

}  // namespace

TEST_CASE("conformance: rows go to the host and come back on every device") {
    for (int32_t index = 0; index < device_count(); index++) {
        auto device = Device::open(*find_device(index), 2);
        if (!device) continue;
        for (const int64_t width : {1, 5, 32, 33}) {
            for (const int32_t n_rows : {1, 3, 47}) {
                CAPTURE(std::string((*device)->backend().name));
                CAPTURE(width);
                CAPTURE(n_rows);
                const auto got = send_and_receive(**device, n_rows, width);
                CHECK_MESSAGE(got, (got ? "" : got.error().message));
            }
        }
    }
}
