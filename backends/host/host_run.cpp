// SPDX-License-Identifier: Apache-2.0
// Where weights and cache rows lie, how a weight's rows are decoded, and how streamed ones are held.
#include "host_run.hpp"

#include <algorithm>
#include <utility>

namespace ponder::host {

void Matrix::decode(int64_t first, int64_t n, float* dst) const {
    const uint64_t bytes = static_cast<uint64_t>(n_cols / type->block_len) * type->block_bytes;
    type->decode(data + static_cast<uint64_t>(first) * bytes, dst, n * n_cols / type->block_len);
    if (scales != nullptr) scale_f8_rows(dst, n_cols, first, n, scales);
}

const std::byte* Run::weight(int32_t id, int64_t slice) const {
    const ponder_operand& weight = operand(id);
    if (weight.is_streamed != 0) return nullptr;
    if (weight.slices != nullptr) return weight.slices[slice].buffer->data + weight.slices[slice].offset;
    return weight.buffer->data + weight.offset + static_cast<uint64_t>(slice) * (weight.n_bytes / static_cast<uint64_t>(weight.dims[2]));
}

Matrix Run::matrix(int32_t id, int64_t slice) const {
    const ponder_operand& weight = operand(id);
    return {find_quant_type(weight.type), weight.dims[0], weight.dims[1], this->weight(id, slice),
            weight.scales < 0 ? nullptr : this->weight(weight.scales, slice)};
}

std::byte* Run::cache_row(int32_t sequence, int64_t position, uint64_t offset, uint64_t row_bytes) const {
    const int32_t page = batch.kv[sequence].pages[position / program.kv_page_tokens];
    const ponder_buffer* arena = batch.arenas[page / batch.pages_per_arena];
    const uint64_t begin = static_cast<uint64_t>(page % batch.pages_per_arena) * program.kv_page_bytes + offset;
    return arena->owned.bytes().data() + begin + static_cast<uint64_t>(position % program.kv_page_tokens) * row_bytes;
}

HeldMatrix::HeldMatrix(const Run& run, int32_t weight, int32_t expert) : run_(run), weight_(weight), expert_(expert) {
    if (weight < 0) return;
    matrix_ = run.matrix(weight, expert);
    if (run.operand(weight).is_streamed == 0) return;
    const ponder_slice_source& source = *run.batch.source;
    matrix_.data = static_cast<const std::byte*>(source.acquire(source.user_data, weight, expert, run.failure));
    is_held_ = matrix_.data != nullptr;
    if (!is_held_ && run.failure->status == PONDER_STATUS_OK) run.failure->status = PONDER_STATUS_INTERNAL;
}

HeldMatrix::HeldMatrix(HeldMatrix&& other) noexcept
    : run_(other.run_),
      weight_(other.weight_),
      expert_(other.expert_),
      matrix_(other.matrix_),
      is_held_(std::exchange(other.is_held_, false)) {}

HeldMatrix::~HeldMatrix() {
    if (is_held_) run_.batch.source->release(run_.batch.source->user_data, weight_, expert_);
}

std::pmr::vector<Assignment> sort_assignments(const Run& run, int32_t experts_id, const float* weights) {
    const int64_t n_used = run.width(experts_id);
    const float* experts = run.rows(experts_id);
    std::pmr::vector<Assignment> all(&run.lists);
    all.reserve(static_cast<size_t>(run.n_rows(experts_id) * n_used));
    for (int64_t r = 0; r < run.n_rows(experts_id); r++) {
        for (int64_t k = r * n_used; k < (r + 1) * n_used; k++)
            all.push_back({static_cast<int32_t>(experts[k]), static_cast<int32_t>(r), weights != nullptr ? weights[k] : 0.0f});
    }
    std::sort(all.begin(), all.end(),
              [](const Assignment& a, const Assignment& b) { return a.expert != b.expert ? a.expert < b.expert : a.row < b.row; });
    return all;
}

void prefetch(const Run& run, int32_t weight, int32_t expert, bool is_guess) {
    if (weight >= 0 && run.operand(weight).is_streamed != 0)
        run.batch.source->prefetch(run.batch.source->user_data, weight, &expert, 1, is_guess);
}

}  // namespace ponder::host
