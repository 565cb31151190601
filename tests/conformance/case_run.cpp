// SPDX-License-Identifier: Apache-2.0
#include "case_run.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

using namespace ponder;

namespace ponder_test {

Result<void> CompiledProgram::compile(const Device& device, ProgramBuilder&& builder, int32_t max_rows, int32_t max_outputs) {
    auto finished = std::move(builder).finish();
    if (!finished) return finished.error();
    program = std::make_unique<Program>(std::move(*finished));
    if (auto bound = placement.bind(device, *program); !bound) return bound;
    if (auto supported = device.check_support(program->view()); !supported) return supported;
    auto prepared = device.prepare(program->view(), max_rows, max_outputs);
    if (!prepared) return prepared.error();
    plan = std::move(*prepared);
    return {};
}

Result<std::unique_ptr<PreparedCase>> PreparedCase::create(const Device& device, const OpCase& c, const Batch& batch, Expected& expected) {
    std::unique_ptr<PreparedCase> made(new PreparedCase(batch));
    if (auto prepared = made->prepare(device, c, expected); !prepared) return prepared.error();
    return made;
}

Result<void> PreparedCase::prepare(const Device& device, const OpCase& c, Expected& expected) {
    builder_.kv().type = c.kv_type;
    const OperandId result = c.build(maker_, expected.rows);
    expected.power = maker_.power;
    width_ = builder_.width(result);
    identity_.assign(static_cast<size_t>(width_ * width_), 0.0f);
    for (int64_t i = 0; i < width_; i++) identity_[static_cast<size_t>(i * width_ + i)] = 1.0f;
    const int64_t dims[] = {width_, width_};
    builder_.logits(builder_.gather_rows(result),
                    builder_.add_weight("identity", PONDER_TYPE_F32, dims, std::as_bytes(std::span(identity_))), kNoOperand);
    const auto n_rows = static_cast<int32_t>(batch_.tokens.size());
    if (auto compiled = compiled_.compile(device, std::move(builder_), n_rows, n_rows); !compiled) return compiled;

    const ponder_program& view = compiled_.program->view();
    pool_ = std::make_shared<KvPool>(device, budget_, std::max<uint64_t>(4096, view.kv_page_bytes), view.kv_page_tokens);
    for (const int32_t length : batch_.lengths) {
        sequences_.push_back(std::make_unique<KvSequence>(pool_));
        if (auto grown = sequences_.back()->extend(length); !grown) return grown;
        kv_.push_back({sequences_.back()->pages().data(), static_cast<int32_t>(sequences_.back()->pages().size())});
    }
    pool_->list_arenas(arenas_);
    output_rows_.resize(static_cast<size_t>(n_rows));
    std::iota(output_rows_.begin(), output_rows_.end(), 0);
    results_.assign(static_cast<size_t>(n_rows * width_), NAN);
    return {};
}

Result<void> PreparedCase::run(int32_t first, int32_t n) {
    return compiled_.plan.run({.struct_size = sizeof(ponder_run),
                               .n_rows = n,
                               .tokens = batch_.tokens.data() + first,
                               .positions = batch_.positions.data() + first,
                               .sequences = batch_.sequences.data() + first,
                               .kv = kv_.data(),
                               .n_sequences = static_cast<int32_t>(kv_.size()),
                               .n_outputs = n,
                               .output_rows = output_rows_.data(),
                               .logits = results_.data() + first * width_,
                               .arenas = arenas_.data(),
                               .n_arenas = static_cast<int32_t>(arenas_.size()),
                               .pages_per_arena = pool_->pages_per_arena()});
}

}  // namespace ponder_test
