// SPDX-License-Identifier: Apache-2.0
// Bounds of rows, tokens, positions, outputs, operators and transfers.
#include "run_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace ponder::host {

namespace {

bool has_transfers(const ponder_run& run) { return run.struct_size >= offsetof(ponder_run, n_transfers) + sizeof run.n_transfers; }

}  // namespace

RunPart part_of(const ponder_program& program, const ponder_run& run) {
    if (!has_transfers(run) || run.n_ops == 0) return {0, program.n_ops};
    return {run.first_op, run.first_op + run.n_ops};
}

ponder_selection* selections_of(const ponder_run& run) {
    return run.struct_size >= offsetof(ponder_run, selections) + sizeof run.selections ? run.selections : nullptr;
}

RunCheck::RunCheck(const ponder_program& program, int32_t max_rows, int32_t max_outputs)
    : program_(&program),
      max_rows_(max_rows),
      max_outputs_(max_outputs),
      n_tokens_(std::numeric_limits<int32_t>::max()),
      has_streams_(std::any_of(program.operands, program.operands + program.n_operands,
                               [](const ponder_operand& operand) { return operand.is_streamed != 0; })) {
    for (int32_t i = 0; i < program.n_ops; i++) {
        const ponder_op& op = program.ops[i];
        if (op.kind == PONDER_OP_EMBED) n_tokens_ = std::min(n_tokens_, program.operands[op.src[0]].dims[1]);
        if (op.kind == PONDER_OP_RECEIVE || op.kind == PONDER_OP_SEND) n_slots_ = std::max(n_slots_, op.params.transfer.slot + 1);
    }
}

const char* RunCheck::find_fault(const ponder_run& run) const {
    if (run.n_rows < 1 || run.n_rows > max_rows_ || run.n_outputs < 0 || run.n_outputs > max_outputs_) return "batch larger than the plan";
    for (int32_t r = 0; r < run.n_rows; r++) {
        if (run.tokens[r] < 0 || run.tokens[r] >= n_tokens_) return "token outside of the vocabulary";
        if (run.sequences[r] < 0 || run.sequences[r] >= run.n_sequences) return "row of an unknown sequence";
        const int64_t capacity = int64_t{run.kv[run.sequences[r]].n_pages} * program_->kv_page_tokens;
        if (run.positions[r] < 0 || run.positions[r] >= capacity) return "position outside of the cache";
    }
    if (n_slots_ > 0 && (!has_transfers(run) || run.n_transfers < n_slots_)) return "rows of other devices are missing";
    if (has_transfers(run) && run.n_ops != 0) {
        const bool is_inside = run.first_op >= 0 && run.n_ops > 0 && run.first_op <= program_->n_ops - run.n_ops;
        if (!is_inside) return "operators outside of the program";
    }
    if (run.source == nullptr && has_streams_) return "a program with streamed weights needs their source";
    for (int32_t o = 0; o < run.n_outputs; o++) {
        if (run.output_rows[o] < 0 || run.output_rows[o] >= run.n_rows) return "output of an unknown row";
    }
    if (const ponder_selection* selections = selections_of(run)) {
        for (int32_t o = 0; o < run.n_outputs; o++) {
            if (!(selections[o].reach >= 0.0f) || !std::isfinite(selections[o].reach)) return "a selection without a reach";
            if (selections[o].take == nullptr) return "a selection that nobody takes";
        }
    }
    return nullptr;
}

}  // namespace ponder::host
