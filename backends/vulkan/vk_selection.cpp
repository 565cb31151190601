// SPDX-License-Identifier: Apache-2.0
// Runs select.comp and reads its results: for each row the number of tokens found, the number of others within reach, the number of bins
// whose tokens were all found, how many tokens these bins have, and the tokens with their logits.
#include "vk_selection.hpp"

#include <algorithm>
#include <cstring>

namespace ponder::vk {

namespace {

constexpr uint32_t kParts = 64, kBins = 1024, kSelected = 2048;
constexpr uint64_t kWorkBytes = (kParts + kBins) * 4, kHeaderBytes = 16, kResultBytes = kHeaderBytes + kSelected * sizeof(ponder_candidate);
static_assert(sizeof(ponder_candidate) == 8);

struct SelectPush {
    uint64_t logits, work, results, reaches;
    uint32_t n_vocab, logits_stride;
};

}  // namespace

Selector::~Selector() {
    for (Allocation* allocation : {&work_, &results_, &host_results_}) device_.memory().free(*allocation);
}

uint64_t Selector::bytes(int32_t n_rows) { return static_cast<uint64_t>(n_rows) * (kWorkBytes + 2 * kResultBytes); }

Result<void> Selector::start(int32_t n_rows) {
    const auto rows = static_cast<uint64_t>(n_rows);
    const struct {
        Allocation& target;
        uint64_t n_bytes;
        MemoryKind kind;
    } needs[] = {{work_, rows * kWorkBytes, MemoryKind::kDevice},
                 {results_, rows * kResultBytes, MemoryKind::kDevice},
                 {host_results_, rows * kResultBytes, MemoryKind::kReadback}};
    for (const auto& need : needs) {
        auto memory = device_.memory().allocate(need.n_bytes, need.kind);
        if (!memory) return memory.error();
        need.target = *memory;
    }
    return {};
}

void Selector::record(Recorder& recorder, const Allocation& logits, uint32_t stride, uint32_t n_vocab, uint64_t reaches,
                      uint32_t n_rows) const {
    const SelectPush push{logits.address, work_.address, results_.address, reaches, n_vocab, stride};
    const Access source = reads(logits.address, uint64_t{n_rows} * stride * 4), work = writes(work_.address, n_rows * kWorkBytes),
                 results = writes(results_.address, n_rows * kResultBytes);
    for (const uint32_t step : {0u, 1u, 2u}) {
        const uint32_t constants[] = {step, kParts, kBins, kSelected};
        recorder.dispatch("select", constants, push, {kParts, n_rows}, {source, work, results});
    }
    recorder.copy(results_, 0, host_results_, 0, n_rows * kResultBytes);
}

bool Selector::offer(ponder_selection& selection, int32_t row, int64_t n_vocab) const {
    const std::byte* result = host_results_.mapped + static_cast<uint64_t>(row) * kResultBytes;
    uint32_t header[4];
    std::memcpy(header, result, sizeof header);
    const auto [n_found, n_rest, n_bins, n_counted] = header;
    if (n_found > kSelected || n_found != n_counted || n_rest > static_cast<uint64_t>(n_vocab) || n_bins > kBins) return false;
    const std::span candidates(reinterpret_cast<const ponder_candidate*>(result + kHeaderBytes), n_found);
    const bool is_sound = std::all_of(candidates.begin(), candidates.end(),
                                      [n_vocab](const ponder_candidate& c) { return c.token >= 0 && c.token < n_vocab; });
    if (!is_sound) return false;
    // A distance and its bin are off by a few units of 2^-24; all that have no room lie at the next bin's begin or beyond.
    const double cut = double{selection.reach} * n_bins / kBins * (1.0 - 0x1p-20);
    selection.is_taken = selection.take(selection.user_data, candidates.data(), static_cast<int32_t>(n_found), static_cast<int32_t>(n_rest),
                                        static_cast<float>(cut)) != 0;
    return selection.is_taken != 0;
}

}  // namespace ponder::vk
