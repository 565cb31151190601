// SPDX-License-Identifier: Apache-2.0
// Programs cut in pieces: stages, rows that pass, caches, slots.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "op/partition.hpp"

using namespace ponder;

namespace {

constexpr int64_t kWidth = 32;

// A residual stream through `n_layers` layers, each of which adds a product of its cached rows.
Program make_program(int32_t n_layers) {
    static const std::vector<float> values(static_cast<size_t>(kWidth * kWidth), 0.5f);
    ProgramBuilder builder;
    const auto matrix = [&] {
        const int64_t dims[] = {kWidth, kWidth};
        return builder.add_weight("matrix", PONDER_TYPE_F32, dims, std::as_bytes(std::span(values)));
    };
    const OperandId x = builder.embed(matrix());
    for (int32_t layer = 0; layer < n_layers; layer++) {
        builder.set_layer(layer);
        const OperandId y = builder.matmul(x, matrix(), kNoOperand, "product");
        const auto kv = builder.kv().add_layer(kWidth, kWidth);
        REQUIRE(kv);
        builder.kv_write(y, y, *kv);
        builder.add(x, y);
    }
    builder.set_layer(-1);
    builder.logits(builder.gather_rows(x), matrix(), kNoOperand);
    auto program = std::move(builder).finish();
    REQUIRE(program);
    return std::move(*program);
}

// Pieces by layer; what lies outside goes with the first and the last.
std::vector<int32_t> pieces_of(const Program& program, const std::vector<int32_t>& piece_of_layer) {
    std::vector<int32_t> pieces;
    int32_t layer = 0;
    for (const ponder_op& op : program.ops()) {
        layer = std::max(layer, op.layer);
        pieces.push_back(piece_of_layer[static_cast<size_t>(layer)]);
    }
    return pieces;
}

std::vector<int32_t> kinds_of(const Program& program, int32_t first, int32_t n) {
    std::vector<int32_t> kinds;
    for (const ponder_op& op : program.ops().subspan(static_cast<size_t>(first), static_cast<size_t>(n))) kinds.push_back(op.kind);
    return kinds;
}

}  // namespace

TEST_CASE("partition: what the next stage reads is sent once and received there") {
    const Program whole = make_program(2);
    const auto cut = make_partition(whole, pieces_of(whole, {0, 1}), 2);
    REQUIRE(cut);
    REQUIRE(cut->stages.size() == 2);
    CHECK(kinds_of(cut->pieces[0], 0, cut->stages[0].n_ops) ==
          std::vector<int32_t>{PONDER_OP_EMBED, PONDER_OP_MATMUL, PONDER_OP_KV_WRITE, PONDER_OP_ADD, PONDER_OP_SEND});
    CHECK(kinds_of(cut->pieces[1], 0, cut->stages[1].n_ops) == std::vector<int32_t>{PONDER_OP_RECEIVE, PONDER_OP_MATMUL, PONDER_OP_KV_WRITE,
                                                                                    PONDER_OP_ADD, PONDER_OP_GATHER_ROWS,
                                                                                    PONDER_OP_LOGITS});
    CHECK(cut->slot_widths == std::vector<int64_t>{kWidth});
    CHECK(cut->transfer_bytes(10) == 10 * kWidth * sizeof(float));
    CHECK(cut->pieces[1].view().n_vocab == kWidth);
}

TEST_CASE("partition: each piece's page holds its own layers") {
    const Program whole = make_program(3);
    const uint64_t layer_bytes = whole.view().kv_page_bytes / 3;
    const auto cut = make_partition(whole, pieces_of(whole, {0, 1, 0}), 2);
    REQUIRE(cut);
    CHECK(cut->pieces[0].view().kv_page_bytes == 2 * layer_bytes);
    CHECK(cut->pieces[1].view().kv_page_bytes == layer_bytes);
    std::vector<uint64_t> begins;
    for (const ponder_op& op : cut->pieces[0].ops()) {
        if (op.kind == PONDER_OP_KV_WRITE) begins.push_back(op.params.kv_write.k_offset);
    }
    CHECK(begins == std::vector<uint64_t>{0, layer_bytes});
}

TEST_CASE("partition: stages come in order, and slots are used again when their rows have arrived") {
    const Program whole = make_program(6);
    const auto cut = make_partition(whole, pieces_of(whole, {0, 1, 0, 1, 0, 1}), 2);
    REQUIRE(cut);
    REQUIRE(cut->stages.size() == 6);
    int32_t next[2] = {0, 0};
    for (size_t s = 0; s < cut->stages.size(); s++) {
        const PieceStage& stage = cut->stages[s];
        CHECK(stage.piece == static_cast<int32_t>(s % 2));
        CHECK(stage.first_op == next[stage.piece]);
        next[stage.piece] += stage.n_ops;
    }
    for (size_t p = 0; p < 2; p++) CHECK(next[p] == static_cast<int32_t>(cut->pieces[p].ops().size()));
    CHECK(cut->slot_widths.size() == 1);
}

TEST_CASE("partition: operands keep their numbers in the whole program, and a piece without operators has none") {
    const Program whole = make_program(2);
    const auto cut = make_partition(whole, std::vector<int32_t>(whole.ops().size(), 1), 3);
    REQUIRE(cut);
    CHECK(cut->stages.size() == 1);
    CHECK(cut->slot_widths.empty());
    CHECK(cut->pieces[0].ops().empty());
    CHECK(cut->pieces[2].operands().empty());
    REQUIRE(cut->pieces[1].operands().size() == whole.operands().size());
    for (size_t i = 0; i < whole.operands().size(); i++) {
        const ponder_operand& original = whole.operands()[static_cast<size_t>(cut->operands[1][i])];
        CHECK(cut->pieces[1].operands()[i].host_data == original.host_data);
        CHECK(cut->pieces[1].operands()[i].role == original.role);
    }
}

TEST_CASE("partition: stages of a piece that nothing parts are refused") {
    ProgramBuilder builder;
    const std::vector<float> values(static_cast<size_t>(kWidth * kWidth), 0.5f);
    const int64_t dims[] = {kWidth, kWidth};
    const auto matrix = [&] { return builder.add_weight("matrix", PONDER_TYPE_F32, dims, std::as_bytes(std::span(values))); };
    const OperandId x = builder.embed(matrix());
    builder.embed(matrix());
    builder.logits(builder.gather_rows(x), matrix(), kNoOperand);
    const auto program = std::move(builder).finish();
    REQUIRE(program);
    const auto cut = make_partition(*program, std::vector<int32_t>{0, 1, 0, 0}, 2);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().status == PONDER_STATUS_INTERNAL);
}
