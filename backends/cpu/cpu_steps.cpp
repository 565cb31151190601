// SPDX-License-Identifier: Apache-2.0
// Groups a program's operators into steps: which function runs which operators, fused ones first.
#include <algorithm>

#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

// The operand's place in scratch, in floats a row.
bool overlap(const ponder_program& program, int32_t a, int32_t b) {
    const ponder_operand &x = program.operands[a], &y = program.operands[b];
    return x.offset < y.offset + static_cast<uint64_t>(y.dims[0]) && y.offset < x.offset + static_cast<uint64_t>(x.dims[0]);
}

size_t one_op(const ponder_program&, std::span<const ponder_op>) { return 1; }

// Products of one source, up to eight.
size_t count_products(const ponder_program&, std::span<const ponder_op> ops) {
    size_t n = 1;
    while (n < std::min<size_t>(ops.size(), 8) && ops[n].kind == PONDER_OP_MATMUL && ops[n].src[0] == ops[0].src[0]) n++;
    return n;
}

// Gate, up and their swiglu, of which only the result reaches memory: nobody else reads the two, and pieces may be finished in any order.
size_t count_gated(const ponder_program& program, std::span<const ponder_op> ops) {
    if (ops.size() < 3 || ops[1].kind != PONDER_OP_MATMUL || ops[2].kind != PONDER_OP_SWIGLU || ops[1].src[0] != ops[0].src[0]) return 0;
    const int32_t gate = ops[0].dst[0], up = ops[1].dst[0], dst = ops[2].dst[0];
    if (ops[2].src[0] != gate || ops[2].src[1] != up || overlap(program, ops[0].src[0], dst)) return 0;
    const bool is_read = std::any_of(ops.begin() + 3, ops.end(), [&](const ponder_op& op) {
        return std::any_of(std::begin(op.src), std::end(op.src), [&](int32_t id) { return (id == gate || id == up) && id != dst; });
    });
    return is_read ? 0 : 3;
}

// The same and the only product that reads its result.
size_t count_gated_ffn(const ponder_program& program, std::span<const ponder_op> ops) {
    if (count_gated(program, ops) == 0 || ops.size() < 4) return 0;
    const int32_t gated = ops[2].dst[0];
    if (ops[3].kind != PONDER_OP_MATMUL || ops[3].src[0] != gated) return 0;
    const bool is_read = std::any_of(ops.begin() + 4, ops.end(), [gated](const ponder_op& op) {
        return std::any_of(std::begin(op.src), std::end(op.src), [gated](int32_t id) { return id == gated; });
    });
    return is_read ? 0 : 4;
}

template <void (*Function)(const host::Run& run, const ponder_op& op)>
void shared(const Run& run, std::span<const ponder_op> ops) {
    Function(run, ops[0]);
}

struct Row {
    int32_t kind;  // of the first operator
    size_t (*count)(const ponder_program& program,
                    std::span<const ponder_op> ops);  // operators that the row takes from the front; 0: it does not
    void (*run)(const Run& run, std::span<const ponder_op> ops);
};

constexpr Row kRows[] = {
    {PONDER_OP_MATMUL, count_gated_ffn, gated_ffn},
    {PONDER_OP_MATMUL, count_gated, gated_matmul},
    {PONDER_OP_MATMUL, count_products, matmul},
    {PONDER_OP_LOGITS, one_op, logits},
    {PONDER_OP_RMS_NORM, one_op, rms_norm},
    {PONDER_OP_SWIGLU, one_op, swiglu},
    {PONDER_OP_ATTENTION, one_op, attention},
    {PONDER_OP_MLA_ATTENTION, one_op, mla_attention},
    {PONDER_OP_MOE_FFN, one_op, moe_ffn},
    {PONDER_OP_EMBED, one_op, shared<host::embed>},
    {PONDER_OP_ROPE, one_op, shared<host::rope>},
    {PONDER_OP_KV_WRITE, one_op, shared<host::kv_write>},
    {PONDER_OP_ADD, one_op, shared<host::add>},
    {PONDER_OP_GATHER_ROWS, one_op, shared<host::gather_rows>},
    {PONDER_OP_MOE_ROUTE, one_op, shared<host::moe_route>},
    {PONDER_OP_MOE_PREFETCH, one_op, shared<host::moe_prefetch>},
    {PONDER_OP_RECEIVE, one_op, shared<host::receive>},
    {PONDER_OP_SEND, one_op, shared<host::send>},
};

}  // namespace

bool knows_op(int32_t kind) {
    return std::any_of(std::begin(kRows), std::end(kRows), [kind](const Row& row) { return row.kind == kind; });
}

std::vector<Step> make_steps(const ponder_program& program) {
    std::vector<Step> steps;
    std::span<const ponder_op> left(program.ops, static_cast<size_t>(program.n_ops));
    while (!left.empty()) {
        size_t n = 0;
        for (const Row& row : kRows) {
            if (row.kind != left.front().kind || (n = row.count(program, left)) == 0) continue;
            steps.push_back({row.run, left.first(n)});
            break;
        }
        left = left.subspan(std::max<size_t>(n, 1));
    }
    return steps;
}

Sizes measure(const ponder_program& program, int32_t max_rows) {
    Sizes sizes;
    for (int32_t i = 0; i < program.n_ops; i++) {
        const ponder_op& op = program.ops[i];
        if (op.kind == PONDER_OP_MATMUL || op.kind == PONDER_OP_LOGITS)
            add_multiply_sizes(program.operands[op.src[0]].dims[0], max_rows, sizes);
        if (op.kind == PONDER_OP_ATTENTION) add_attention_sizes(program, op, sizes);
        if (op.kind == PONDER_OP_MLA_ATTENTION) add_mla_sizes(program, op, max_rows, sizes);
        if (op.kind == PONDER_OP_MOE_FFN) add_moe_sizes(program, op, max_rows, sizes);
    }
    return sizes;
}

Run::Run(Plan& own, const ponder_run& run, ponder_error* error) : host::Run(own, run, error), plan(own), kernels(*own.kernels) {}

}  // namespace ponder::cpu
