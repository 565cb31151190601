// SPDX-License-Identifier: Apache-2.0
// Cuts work into runs of a few hundred rows and hands them to the compiled plan, one turn each.
#include "runtime/executor.hpp"

#include <algorithm>
#include <cstring>
#include <memory_resource>
#include <numeric>
#include <utility>

namespace ponder {

Result<std::unique_ptr<Executor>> Executor::create(std::span<const std::unique_ptr<Device>> devices, Turns& turns, MemoryBudget& budget,
                                                   const ModelFile& file, ExpertCache* experts, PlacedProgram program, int32_t max_rows) {
    std::unique_ptr<Executor> executor(new Executor(turns, budget, std::move(program), max_rows));
    if (auto prepared = executor->prepare(devices, file, experts); !prepared) return prepared.error();
    return executor;
}

Result<void> Executor::prepare(std::span<const std::unique_ptr<Device>> devices, const ModelFile& file, ExpertCache* experts) {
    for (size_t i = 0; i < program_.n_pieces(); i++) {
        parts_.emplace_back(*devices[i]);
        if (auto supported = devices[i]->check_support(program_.piece(i).view()); !supported) return supported;
    }
    if (auto expected = expect_context(0); !expected) return expected;
    if (experts != nullptr) experts_ = std::make_unique<ExpertSource>(program_.whole(), *experts);
    std::vector<KvShare> shares;
    for (size_t i = 0; i < parts_.size(); i++) {
        Part& part = parts_[i];
        Program& piece = program_.piece(i);
        if (experts_ != nullptr && program_.is_split())
            part.experts = std::make_unique<PieceSource>(*experts_->view(), program_.partition().operands[i]);
        auto embedding = RowTable::create(part.device, file, piece, max_rows_);
        if (!embedding) return embedding.error();
        if (*embedding != nullptr) embedding_ = std::move(*embedding);
        auto plan = part.device.prepare(piece.view(), max_rows_, kMaxOutputs);
        if (!plan) return plan.error();
        part.plan = std::move(*plan);
        shares.push_back({&part.device, piece.view().kv_page_bytes});
    }
    for (const int64_t width : program_.partition().slot_widths) {
        transfers_.emplace_back(static_cast<size_t>(max_rows_) * static_cast<size_t>(width));
        transfer_views_.push_back(transfers_.back().data());
    }
    kv_pool_ = std::make_shared<KvPool>(std::move(shares), budget_, program_.whole().view().kv_page_tokens);
    return {};
}

Executor::~Executor() { budget_.give_back(scratch_bytes_); }

Result<void> Executor::expect_context(int64_t n_context) {
    uint64_t needed = program_.partition().transfer_bytes(max_rows_);
    for (size_t i = 0; i < parts_.size(); i++) {
        const Device& device = parts_[i].device;
        needed += device.backend().scratch_bytes(&program_.piece(i).view(), max_rows_, kMaxOutputs, device.n_threads(), n_context);
    }
    const std::lock_guard lock(scratch_mutex_);
    if (needed <= scratch_bytes_) return {};
    if (auto taken = budget_.take(needed - scratch_bytes_, "scratch memory"); !taken) return taken;
    scratch_bytes_ = needed;
    return {};
}

Result<void> Executor::evaluate(std::span<const EvaluateItem> items, WorkControl& control) {
    // Lists of a few rows stay on the stack.
    std::byte memory[1024];
    std::pmr::monotonic_buffer_resource lists(memory, sizeof memory);
    std::pmr::vector<int64_t> starts(&lists);  // [items], each sequence's length before
    starts.reserve(items.size());
    for (const EvaluateItem& item : items) starts.push_back(item.sequence->n_tokens());
    const auto undo = [&] {
        for (size_t i = 0; i < items.size(); i++) items[i].sequence->truncate(starts[i]);
    };
    try {
        auto done = append(items, starts, control, lists);
        if (!done) undo();
        return done;
    } catch (...) {
        undo();
        throw;
    }
}

Result<void> Executor::append(std::span<const EvaluateItem> items, std::span<const int64_t> starts, WorkControl& control,
                              std::pmr::memory_resource& lists) {
    size_t n_rows = 0;
    for (const EvaluateItem& item : items) n_rows += item.tokens.size();
    std::pmr::vector<Row> rows(&lists);
    rows.reserve(n_rows);
    for (size_t i = 0; i < items.size(); i++) {
        for (size_t t = 0; t < items[i].tokens.size(); t++) rows.push_back({i, t, t + items[i].n_rows >= items[i].tokens.size()});
    }
    for (size_t done = 0; done < rows.size();) {
        size_t n = 0;
        for (int32_t n_outputs = 0; n < static_cast<size_t>(max_rows_) && done + n < rows.size(); n++) {
            if (rows[done + n].is_output && ++n_outputs > kMaxOutputs) break;
        }
        control.set_fraction(static_cast<double>(done) / static_cast<double>(rows.size()));
        if (auto run = run_rows(items, starts, std::span(rows).subspan(done, n), control); !run) return run;
        done += n;
    }
    return {};
}

Result<void> Executor::run_rows(std::span<const EvaluateItem> items, std::span<const int64_t> starts, std::span<const Row> rows,
                                WorkControl& control) {
    if (auto turn = turns_.begin(control); !turn) return turn;
    const TurnEnd turn_end(turns_);

    const size_t n_vocab = static_cast<size_t>(program_.whole().view().n_vocab);
    tokens_.clear(), positions_.clear(), sequences_.clear(), output_rows_.clear();
    for (size_t r = 0; r < rows.size(); r++) {
        const EvaluateItem& item = items[rows[r].item];
        if (auto grown = item.sequence->extend(1); !grown) return grown.error();
        tokens_.push_back(item.tokens[rows[r].index]);
        positions_.push_back(static_cast<int32_t>(starts[rows[r].item] + static_cast<int64_t>(rows[r].index)));
        sequences_.push_back(static_cast<int32_t>(rows[r].item));
        if (rows[r].is_output) output_rows_.push_back(static_cast<int32_t>(r));
    }
    if (embedding_ != nullptr) {
        if (auto read = embedding_->read(tokens_); !read) return read;
        std::iota(tokens_.begin(), tokens_.end(), 0);
    }
    kv_.clear();
    for (const EvaluateItem& item : items)
        kv_.push_back({item.sequence->pages().data(), static_cast<int32_t>(item.sequence->pages().size())});
    for (size_t i = 0; i < parts_.size(); i++) kv_pool_->list_arenas(parts_[i].arenas, i);
    // Logits of one session go straight to the caller; those of several pass through a buffer.
    const auto destination = [&](int32_t r) {
        const EvaluateItem& item = items[rows[static_cast<size_t>(r)].item];
        return item.logits + (rows[static_cast<size_t>(r)].index + item.n_rows - item.tokens.size()) * n_vocab;
    };
    const auto item_of = [&](int32_t r) { return rows[static_cast<size_t>(r)].item; };
    const bool is_direct = output_rows_.empty() || item_of(output_rows_.front()) == item_of(output_rows_.back());
    if (!is_direct) logits_.resize(output_rows_.size() * n_vocab);
    float* logits = !is_direct ? logits_.data() : output_rows_.empty() ? nullptr : destination(output_rows_.front());

    selections_.clear();
    for (const int32_t r : output_rows_) {
        if (const ponder_selection* selection = items[item_of(r)].selection) selections_.push_back(*selection);
    }
    const bool selects = !selections_.empty() && selections_.size() == output_rows_.size();

    ponder_run run{.struct_size = sizeof(ponder_run),
                   .n_rows = static_cast<int32_t>(rows.size()),
                   .tokens = tokens_.data(),
                   .positions = positions_.data(),
                   .sequences = sequences_.data(),
                   .kv = kv_.data(),
                   .n_sequences = static_cast<int32_t>(kv_.size()),
                   .n_outputs = static_cast<int32_t>(output_rows_.size()),
                   .output_rows = output_rows_.data(),
                   .logits = logits,
                   .pages_per_arena = kv_pool_->pages_per_arena(),
                   .should_stop = [](void* user_data) -> int32_t { return static_cast<WorkControl*>(user_data)->should_stop(); },
                   .user_data = &control,
                   .source = experts_ ? experts_->view() : nullptr,
                   .selections = selects ? selections_.data() : nullptr};
    n_tokens_run_.fetch_add(static_cast<int64_t>(rows.size()), std::memory_order_relaxed);
    auto done = run_stages(run, control);
    if (!done && experts_) experts_->abandon();
    if (!done) return done;
    for (size_t o = 0; o < output_rows_.size(); o++) {
        if (is_direct || (selects && selections_[o].is_taken != 0)) continue;
        std::memcpy(destination(output_rows_[o]), logits_.data() + o * n_vocab, n_vocab * sizeof(float));
    }
    return {};
}

Result<void> Executor::run_stages(ponder_run& run, WorkControl& control) {
    const PieceStage whole[] = {{}};
    const std::span stages = program_.is_split() ? std::span<const PieceStage>(program_.partition().stages) : whole;
    const ponder_slice_source* source = run.source;
    run.transfers = transfer_views_.data();
    run.n_transfers = static_cast<int32_t>(transfer_views_.size());
    for (const PieceStage& stage : stages) {
        if (&stage != stages.data() && control.should_stop()) return make_error(PONDER_STATUS_CANCELLED, "cancelled");
        const Part& part = parts_[static_cast<size_t>(stage.piece)];
        run.arenas = part.arenas.data();
        run.n_arenas = static_cast<int32_t>(part.arenas.size());
        run.source = part.experts != nullptr ? part.experts->view() : source;
        run.first_op = stage.first_op;
        run.n_ops = stage.n_ops;
        if (auto done = part.plan.run(run); !done) return done;
    }
    return {};
}

}  // namespace ponder
