// SPDX-License-Identifier: Apache-2.0
// The callbacks of ponder_slice_source over an ExpertCache.
#include "runtime/expert_source.hpp"

#include <algorithm>
#include <cstdio>

namespace ponder {

namespace {

ExpertCache::Matrix matrix_of(const ponder_operand& weight, int64_t slice) {
    const auto n_bytes = static_cast<size_t>(weight.n_bytes / static_cast<uint64_t>(weight.dims[2]));
    if (weight.slices != nullptr) return {static_cast<const std::byte*>(weight.slices[slice].host_data), n_bytes};
    return {static_cast<const std::byte*>(weight.host_data) + static_cast<size_t>(slice) * n_bytes, n_bytes};
}

}  // namespace

ExpertSource::ExpertSource(const Program& program, ExpertCache& cache) : program_(program), cache_(cache) {
    view_.user_data = this;
    view_.acquire = [](void* self, int32_t operand, int32_t slice, ponder_error* err) -> const void* {
        auto& source = *static_cast<ExpertSource*>(self);
        auto acquired = source.cache_.acquire(source.matrix(operand, slice));
        if (acquired) return *acquired;
        err->status = acquired.error().status;
        std::snprintf(err->message, sizeof err->message, "%s", acquired.error().message.c_str());
        return nullptr;
    };
    view_.release = [](void* self, int32_t operand, int32_t slice) {
        auto& source = *static_cast<ExpertSource*>(self);
        source.cache_.release(source.matrix(operand, slice));
    };
    view_.prefetch = [](void* self, int32_t operand, const int32_t* slices, int32_t n_slices, int32_t is_guess) {
        static_cast<ExpertSource*>(self)->prefetch(operand, {slices, static_cast<size_t>(n_slices)}, is_guess != 0);
    };
}

ExpertCache::Matrix ExpertSource::matrix(int32_t operand, int32_t slice) const {
    return matrix_of(program_.operands()[static_cast<size_t>(operand)], slice);
}

void ExpertSource::prefetch(int32_t operand, std::span<const int32_t> slices, bool is_guess) {
    if (is_guess) {
        guessed_operands_.insert(operand);
    } else if (guessed_operands_.contains(operand)) {
        cache_.drop_guesses();
        guessed_operands_.clear();
    }
    for (const int32_t slice : slices) {
        if (is_guess)
            cache_.guess(matrix(operand, slice));
        else
            cache_.demand(matrix(operand, slice));
    }
}

void ExpertSource::abandon() {
    guessed_operands_.clear();
    cache_.drop_requests();
}

PieceSource::PieceSource(const ponder_slice_source& whole, std::span<const OperandId> operands) : whole_(whole), operands_(operands) {
    view_.user_data = this;
    view_.acquire = [](void* self, int32_t operand, int32_t slice, ponder_error* err) {
        const auto& own = *static_cast<PieceSource*>(self);
        return own.whole_.acquire(own.whole_.user_data, own.operands_[static_cast<size_t>(operand)], slice, err);
    };
    view_.release = [](void* self, int32_t operand, int32_t slice) {
        const auto& own = *static_cast<PieceSource*>(self);
        own.whole_.release(own.whole_.user_data, own.operands_[static_cast<size_t>(operand)], slice);
    };
    view_.prefetch = [](void* self, int32_t operand, const int32_t* slices, int32_t n_slices, int32_t is_guess) {
        const auto& own = *static_cast<PieceSource*>(self);
        own.whole_.prefetch(own.whole_.user_data, own.operands_[static_cast<size_t>(operand)], slices, n_slices, is_guess);
    };
}

uint64_t ExpertSource::largest_expert(const Program& program) {
    uint64_t largest = 0;
    for (const ponder_op& op : program.ops()) {
        uint64_t n_bytes = 0;
        for (const int32_t id : op.src) {
            if (op.kind != PONDER_OP_MOE_FFN || id < 0) continue;
            const ponder_operand& weight = program.operands()[static_cast<size_t>(id)];
            if (weight.is_streamed != 0) n_bytes += matrix_of(weight, 0).size();
        }
        largest = std::max(largest, n_bytes);
    }
    return largest;
}

}  // namespace ponder
