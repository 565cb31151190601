// SPDX-License-Identifier: Apache-2.0
// Compiles and runs programs.
#include "vk_plan.hpp"

#include <algorithm>
#include <cstring>

namespace ponder::vk {

namespace {

constexpr size_t kMaxClassesOfPart = 32;

// Parts that the program may be run in.
size_t count_parts(const ponder_program& program) {
    size_t n = 1;
    for (int32_t i = 1; i < program.n_ops; i++)
        n += program.ops[i].kind == PONDER_OP_RECEIVE && program.ops[i - 1].kind != PONDER_OP_RECEIVE;
    return n;
}

uint32_t stride_of_logits(const ponder_program& program) { return (static_cast<uint32_t>(program.n_vocab) + 3) / 4 * 4; }

int32_t rows_of_logits(int32_t max_outputs) { return std::clamp(max_outputs, 1, kLogitRows); }

uint64_t logits_bytes(const ponder_program& program, int32_t max_outputs) {
    return uint64_t{stride_of_logits(program)} * 4 * static_cast<uint64_t>(rows_of_logits(max_outputs));
}

void record_op(const Recording& r, int32_t op) {
    switch (r.program.ops[op].kind) {
        case PONDER_OP_EMBED:
            return record_embed(r, op);
        case PONDER_OP_RMS_NORM:
            return record_rms_norm(r, op);
        case PONDER_OP_MATMUL:
            return record_matmul(r, op);
        case PONDER_OP_ROPE:
            return record_rope(r, op);
        case PONDER_OP_KV_WRITE:
            return record_kv_write(r, op);
        case PONDER_OP_ATTENTION:
            return record_attention(r, op);
        case PONDER_OP_SWIGLU:
            return record_swiglu(r, op);
        case PONDER_OP_ADD:
            return record_add(r, op);
        case PONDER_OP_GATHER_ROWS:
            return record_gather_rows(r, op);
        case PONDER_OP_RECEIVE:
            return record_receive(r, op);
        case PONDER_OP_SEND:
            return record_send(r, op);
        case PONDER_OP_LOGITS:
            return record_logits(r, op);
        case PONDER_OP_MLA_ATTENTION:
            return record_mla_attention(r, op);
        case PONDER_OP_MOE_ROUTE:
            return record_moe_route(r, op);
        case PONDER_OP_MOE_FFN:
            return record_moe_ffn(r, op);
        default:
            return;
    }
}

}  // namespace

Result<std::unique_ptr<Plan>> Plan::create(Device& device, const ponder_program& program, int32_t max_rows, int32_t max_outputs) {
    std::unique_ptr<Plan> plan(new Plan(device, program, max_rows, max_outputs));
    if (auto started = plan->start(); !started) return started.error();
    return plan;
}

Result<void> Plan::start() {
    for (int32_t i = 0; i < program_.n_ops; i++) {
        if (const char* why = find_obstacle(device_, program_, program_.ops[i])) return make_error(PONDER_STATUS_UNSUPPORTED, "%s", why);
    }
    layout_ = lay_out(program_, max_rows_, max_outputs_);
    logits_stride_ = stride_of_logits(program_);
    if (auto started = data_.start(layout_, max_rows_, max_outputs_); !started) return started;
    if (auto placed = place_weights(); !placed) return placed;
    if (auto started = selector_.start(rows_of_logits(max_outputs_)); !started) return started;
    const struct {
        Allocation& target;
        uint64_t n_bytes;
        MemoryKind kind;
    } needs[] = {{scratch_, layout_.n_floats * 4, MemoryKind::kDevice},
                 {logits_, logits_bytes(program_, max_outputs_), MemoryKind::kDevice},
                 {host_logits_, logits_bytes(program_, max_outputs_), MemoryKind::kReadback}};
    for (const auto& need : needs) {
        auto memory = device_.memory().allocate(need.n_bytes, need.kind);
        if (!memory) return memory.error();
        need.target = *memory;
    }
    auto fence = device_.make_fence();
    if (!fence) return fence.error();
    fence_ = *fence;
    // Compiled now, so that nobody waits for it at the first token.
    max_classes_ = kMaxClassesOfPart * count_parts(program_);
    for (const int32_t n : {1, max_rows_}) {
        if (auto shape = shape_class(n, std::min(1, max_outputs_), {0, program_.n_ops}, true); !shape) return shape.error();
    }
    if (data_.n_slots() == 0) return {};
    // Run in parts, it will not be run as a whole.
    for (ShapeClass& shape : classes_) forget(shape);
    classes_.clear();
    return {};
}

Result<void> Plan::place_weights() {
    const auto place = [this](int32_t id) -> Result<void> {
        if (id < 0 || weights_.by_operand.contains(id)) return {};
        const auto weight = place_weight(device_, program_, id, weights_.kept);
        if (!weight) return weight.error();
        weights_.by_operand[id] = *weight;
        return {};
    };
    for (int32_t i = 0; i < program_.n_ops; i++) {
        const ponder_op& op = program_.ops[i];
        if (op.kind == PONDER_OP_EMBED || op.kind == PONDER_OP_ROPE) continue;  // the host reads their tables
        if (op.kind == PONDER_OP_MLA_ATTENTION && op.src[2] < 0) {
            const auto keys = place_turned_keys(device_, program_, op.src[1], op.params.mla_attention, weights_.kept);
            if (!keys) return keys.error();
            weights_.turned_keys[op.src[1]] = *keys;
        }
        for (const int32_t id : op.src) {
            if (id < 0 || program_.operands[id].role != PONDER_OPERAND_WEIGHT) continue;
            if (auto placed = place(id); !placed) return placed;
        }
    }
    return {};
}

Plan::~Plan() {
    for (ShapeClass& shape : classes_) forget(shape);
    if (fence_ != VK_NULL_HANDLE) device_.fn().DestroyFence(device_.handle(), fence_, nullptr);
    for (Allocation* allocation : {&scratch_, &logits_, &host_logits_}) device_.memory().free(*allocation);
}

void Plan::forget(ShapeClass& shape) {
    for (const Segment& segment : shape.segments) {
        if (segment.commands != VK_NULL_HANDLE)
            device_.fn().FreeCommandBuffers(device_.handle(), device_.command_pool(), 1, &segment.commands);
    }
    shape.segments.clear();
}

Result<Plan::ShapeClass*> Plan::shape_class(int32_t n_rows, int32_t n_outputs, host::RunPart part, bool selects) {
    const auto found = std::find_if(classes_.begin(), classes_.end(), [&](const ShapeClass& c) {
        return c.n_rows == n_rows && c.n_outputs == n_outputs && c.part == part && c.selects == selects;
    });
    if (found != classes_.end()) {
        classes_.splice(classes_.begin(), classes_, found);
        return &classes_.front();
    }
    ShapeClass shape{n_rows, n_outputs, part, selects, {}};
    Recorder recorder(device_, shape.segments);
    const Recording recording{device_,
                              recorder,
                              program_,
                              layout_,
                              data_,
                              weights_,
                              scratch_.address,
                              scratch_,
                              logits_,
                              host_logits_,
                              selects ? &selector_ : nullptr,
                              logits_stride_,
                              static_cast<uint32_t>(n_rows),
                              static_cast<uint32_t>(n_outputs)};
    for (int32_t i = part.begin; i < part.end && !recorder.has_failed(); i++) record_op(recording, i);
    if (auto finished = recorder.finish(); !finished) {
        forget(shape);
        return finished.error();
    }
    if (classes_.size() >= max_classes_) {
        forget(classes_.back());
        classes_.pop_back();
    }
    classes_.push_front(std::move(shape));
    return &classes_.front();
}

// A batch comes from the library's own runtime; what would read out of bounds is refused all the same.
Result<void> Plan::run(const ponder_run& run) {
    if (const char* fault = check_.find_fault(run)) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s", fault);
    const auto should_stop = [&] { return run.should_stop != nullptr && run.should_stop(run.user_data) != 0; };
    const Error cancelled{PONDER_STATUS_CANCELLED, "cancelled"};
    if (should_stop()) return cancelled;
    ponder_selection* const selections = run.n_outputs > 0 ? host::selections_of(run) : nullptr;
    const auto shape = shape_class(run.n_rows, run.n_outputs, host::part_of(program_, run), selections != nullptr);
    if (!shape) return shape.error();
    if (auto filled = data_.fill(run); !filled) return filled;
    for (const Segment& segment : (*shape)->segments) {
        if (auto done = device_.submit_and_wait(segment.commands, fence_); !done) return done;
        if (auto delivered = deliver_logits(run, segment, selections); !delivered) return delivered;
        if (should_stop()) return cancelled;
    }
    data_.deliver(run);
    return {};
}

// Of a segment that is done; where tokens were selected and do not do, the logits are still on the device.
Result<void> Plan::deliver_logits(const ponder_run& run, const Segment& segment, ponder_selection* selections) {
    const auto n_vocab = static_cast<size_t>(program_.n_vocab);
    for (int32_t i = 0; i < segment.n_logits; i++) {
        const int32_t output = segment.first_logits + i;
        float* logits = run.logits + static_cast<size_t>(output) * n_vocab;
        const uint64_t offset = static_cast<uint64_t>(i) * logits_stride_ * 4;
        if (selections != nullptr) {
            if (selector_.offer(selections[output], i, program_.n_vocab)) continue;
            if (auto copied = device_.copy(host_logits_, offset, logits_, offset, n_vocab * 4); !copied) return copied;
        }
        std::memcpy(logits, host_logits_.mapped + offset, n_vocab * 4);
    }
    return {};
}

uint64_t Plan::scratch_bytes(const ponder_program& program, int32_t max_rows, int32_t max_outputs, int64_t n_context) {
    const Layout layout = lay_out(program, max_rows, max_outputs);
    return layout.n_floats * 4 + 2 * logits_bytes(program, max_outputs) + Selector::bytes(rows_of_logits(max_outputs)) +
           RunData::bytes(program, layout, max_rows, max_outputs, n_context);
}

}  // namespace ponder::vk
