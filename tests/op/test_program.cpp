// SPDX-License-Identifier: Apache-2.0
// Programs: shape rules, scratch that never overlaps while both operands live, cache layout, decode bytes.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "op/op_check.hpp"
#include "op/program.hpp"

using namespace ponder;

namespace {

OperandId matrix(ProgramBuilder& builder, int64_t n_in, int64_t n_out) {
    static const std::vector<std::byte> zeros(1 << 16);
    const int64_t dims[] = {n_in, n_out};
    return builder.add_weight("matrix", PONDER_TYPE_F32, dims, std::span(zeros).first(static_cast<size_t>(n_in * n_out) * 4));
}

}  // namespace

TEST_CASE("program: operands that live together share no scratch") {
    ProgramBuilder builder;
    const OperandId x = builder.embed(matrix(builder, 16, 10));
    const OperandId norm = builder.add_constant("norm", std::vector<float>(16, 1.0f));
    OperandId delta = kNoOperand;
    for (int layer = 0; layer < 4; layer++) {
        const OperandId y = builder.rms_norm(x, norm, 1e-6f, delta);
        const OperandId gate = builder.matmul(y, matrix(builder, 16, 32), kNoOperand, "gate");
        const OperandId up = builder.matmul(y, matrix(builder, 16, 32), kNoOperand, "up");
        delta = builder.matmul(builder.swiglu(gate, up), matrix(builder, 32, 16), kNoOperand, "down");
    }
    builder.add(x, delta);
    builder.logits(builder.rms_norm(builder.gather_rows(x), norm, 1e-6f), matrix(builder, 16, 10), kNoOperand);
    const auto program = std::move(builder).finish();
    REQUIRE(program);

    const auto operands = program->operands();
    std::vector<int> first(operands.size(), -1), last(operands.size(), -1);
    for (size_t i = 0; i < program->ops().size(); i++) {
        const auto touch = [&](int32_t id) {
            if (id < 0 || operands[static_cast<size_t>(id)].role == PONDER_OPERAND_WEIGHT) return;
            if (first[static_cast<size_t>(id)] < 0) first[static_cast<size_t>(id)] = static_cast<int>(i);
            last[static_cast<size_t>(id)] = static_cast<int>(i);
        };
        for (const int32_t id : program->ops()[i].src) touch(id);
        for (const int32_t id : program->ops()[i].dst) touch(id);
    }
    uint64_t sum = 0;
    for (size_t a = 0; a < operands.size(); a++) {
        if (first[a] < 0) continue;
        sum += static_cast<uint64_t>(operands[a].dims[0]);
        CHECK(operands[a].offset + static_cast<uint64_t>(operands[a].dims[0]) <= program->view().scratch_floats);
        for (size_t b = a + 1; b < operands.size(); b++) {
            if (first[b] < 0 || last[a] < first[b] || last[b] < first[a]) continue;
            const bool is_apart = operands[a].offset + static_cast<uint64_t>(operands[a].dims[0]) <= operands[b].offset ||
                                  operands[b].offset + static_cast<uint64_t>(operands[b].dims[0]) <= operands[a].offset;
            CHECK(is_apart);
        }
    }
    CHECK(program->view().scratch_floats < sum / 2);  // memory is really shared
}

TEST_CASE("program: an operator that breaks its shape rules is refused") {
    ProgramBuilder builder;
    const OperandId x = builder.embed(matrix(builder, 16, 10));
    builder.matmul(x, matrix(builder, 8, 4), kNoOperand, "bad");
    const auto program = std::move(builder).finish();
    REQUIRE(!program);
    CHECK(program.error().status == PONDER_STATUS_INTERNAL);
    CHECK(program.error().message.find("matmul") != std::string::npos);
}

TEST_CASE("program: decode bytes count an embedding row, and a tied table once as head") {
    ProgramBuilder builder;
    const OperandId table = matrix(builder, 16, 10);
    const OperandId x = builder.embed(table);
    const OperandId norm = builder.add_constant("norm", std::vector<float>(16, 1.0f));
    builder.logits(builder.rms_norm(builder.gather_rows(x), norm, 1e-6f), table, kNoOperand);
    const auto program = std::move(builder).finish();
    REQUIRE(program);
    CHECK(program->decode_bytes() == 16 * 4 + 16 * 10 * 4 + 16 * 4);
}

TEST_CASE("program: cache layers lie one after the other in a page") {
    KvLayout layout{.type = PONDER_TYPE_F16, .page_tokens = 32};
    const auto first = layout.add_layer(64, 32), second = layout.add_layer(64, 32);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->k_offset == 0);
    CHECK(first->v_offset == 32 * 64 * 2);
    CHECK(second->k_offset == 32 * 96 * 2);
    CHECK(layout.page_bytes == 2 * 32 * 96 * 2);
    KvLayout quantised{.type = PONDER_TYPE_Q8_0};
    CHECK(!quantised.add_layer(33, 32));
    CHECK(quantised.add_layer(64, 64));
}
