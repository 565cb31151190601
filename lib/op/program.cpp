// SPDX-License-Identifier: Apache-2.0
// Builds programs: operands, operators, and scratch offsets from the operands' lifetimes.
#include "op/program.hpp"

#include <algorithm>
#include <utility>

#include "op/op_check.hpp"
#include "quant/quant.hpp"

namespace ponder {

Result<ponder_kv_params> KvLayout::add_layer(int64_t k_width, int64_t v_width) {
    const QuantType* quant = find_quant_type(type);
    const auto k_row = row_bytes(*quant, static_cast<uint64_t>(k_width));
    const auto v_row = row_bytes(*quant, static_cast<uint64_t>(v_width));
    if (!k_row || !v_row) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "cache type %s needs rows that are multiples of %u, this model has %lld and %lld",
                          quant->name, quant->block_len, static_cast<long long>(k_width), static_cast<long long>(v_width));
    }
    const auto tokens = static_cast<uint64_t>(page_tokens);
    const ponder_kv_params params{page_bytes, page_bytes + *k_row * tokens, static_cast<int32_t>(k_width), static_cast<int32_t>(v_width)};
    page_bytes += (*k_row + *v_row) * tokens;
    return params;
}

std::span<ponder_slice> Program::slices_of(const ponder_operand& operand) {
    for (auto& slices : slices_) {
        if (slices.data() == operand.slices) return slices;
    }
    return {};
}

namespace {

// Bytes of a weight that an operator reads for one row.
uint64_t bytes_read(const ponder_program& program, const ponder_op& op, const ponder_operand& weight) {
    const uint64_t whole = weight.n_bytes + (weight.scales < 0 ? 0 : program.operands[weight.scales].n_bytes);
    if (op.kind == PONDER_OP_EMBED) return whole / static_cast<uint64_t>(weight.dims[1]);
    if (op.kind == PONDER_OP_MOE_PREFETCH) return 0;
    if (op.kind != PONDER_OP_MOE_FFN) return whole;
    return whole / static_cast<uint64_t>(weight.dims[2]) * static_cast<uint64_t>(program.operands[op.src[1]].dims[0]);
}

}  // namespace

uint64_t Program::decode_bytes() const {
    uint64_t total = 0;
    for (const ponder_op& op : ops_) {
        for (const int32_t id : op.src) {
            if (id < 0) continue;
            const ponder_operand& operand = operands_[static_cast<size_t>(id)];
            if (operand.role == PONDER_OPERAND_WEIGHT) total += bytes_read(view_, op, operand);
        }
    }
    return total;
}

OperandId ProgramBuilder::add_operand(ponder_operand operand, std::string name) {
    program_.names_.push_back(std::move(name));
    operand.name = program_.names_.back().c_str();
    operand.scales = kNoOperand;
    program_.operands_.push_back(operand);
    return static_cast<OperandId>(program_.operands_.size() - 1);
}

OperandId ProgramBuilder::add_weight(std::string name, int32_t type, std::span<const int64_t> dims, std::span<const std::byte> bytes) {
    ponder_operand operand{};
    operand.role = PONDER_OPERAND_WEIGHT;
    operand.type = type;
    std::fill(std::begin(operand.dims), std::end(operand.dims), 1);
    std::copy(dims.begin(), dims.end(), operand.dims);
    operand.host_data = bytes.data();
    operand.n_bytes = bytes.size();
    return add_operand(operand, std::move(name));
}

OperandId ProgramBuilder::add_weight(std::string name, int32_t type, std::span<const int64_t> dims, std::vector<ponder_slice> slices,
                                     uint64_t n_bytes) {
    const OperandId id = add_weight(std::move(name), type, dims, std::span<const std::byte>());
    ponder_operand& operand = program_.operands_[static_cast<size_t>(id)];
    program_.slices_.push_back(std::move(slices));
    operand.slices = program_.slices_.back().data();
    operand.n_bytes = n_bytes;
    return id;
}

OperandId ProgramBuilder::add_constant(std::string name, std::vector<float> values) {
    program_.constants_.push_back(std::move(values));
    const auto& stored = program_.constants_.back();
    const int64_t length = static_cast<int64_t>(stored.size());
    return add_weight(std::move(name), PONDER_TYPE_F32, {&length, 1}, std::as_bytes(std::span(stored)));
}

OperandId ProgramBuilder::add_activation(std::string name, int64_t width) {
    return add_operand({.role = PONDER_OPERAND_ACTIVATION, .type = PONDER_TYPE_F32, .dims = {width, 1, 1, 1}}, std::move(name));
}

OperandId ProgramBuilder::add_output(std::string name, int64_t width) {
    return add_operand({.role = PONDER_OPERAND_OUTPUT, .type = PONDER_TYPE_F32, .dims = {width, 1, 1, 1}}, std::move(name));
}

ponder_op& ProgramBuilder::append(ponder_op_kind kind, std::initializer_list<OperandId> src, std::initializer_list<OperandId> dst) {
    ponder_op op{};
    op.kind = kind;
    op.layer = layer_;
    std::fill(std::begin(op.src), std::end(op.src), kNoOperand);
    std::fill(std::begin(op.dst), std::end(op.dst), kNoOperand);
    std::copy(src.begin(), src.end(), op.src);
    std::copy(dst.begin(), dst.end(), op.dst);
    program_.ops_.push_back(op);
    return program_.ops_.back();
}

OperandId ProgramBuilder::embed(OperandId table) {
    const OperandId x = add_activation("embedding", width(table));
    append(PONDER_OP_EMBED, {table}, {x});
    return x;
}

OperandId ProgramBuilder::rms_norm(OperandId x, OperandId weight, float epsilon, OperandId delta) {
    const bool is_output = program_.operands_[static_cast<size_t>(x)].role == PONDER_OPERAND_OUTPUT;
    const OperandId y = is_output ? add_output("norm", width(x)) : add_activation("norm", width(x));
    append(PONDER_OP_RMS_NORM, {x, weight, delta}, {y, delta == kNoOperand ? kNoOperand : x}).params.rms_norm = {epsilon, 0};
    return y;
}

void ProgramBuilder::rms_norm_heads(OperandId x, OperandId weight, float epsilon) {
    append(PONDER_OP_RMS_NORM, {x, weight, kNoOperand}, {x}).params.rms_norm = {epsilon, 0};
}

void ProgramBuilder::rms_norm_first(OperandId x, OperandId weight, float epsilon) {
    append(PONDER_OP_RMS_NORM, {x, weight, kNoOperand}, {x}).params.rms_norm = {epsilon, static_cast<int32_t>(width(weight))};
}

OperandId ProgramBuilder::matmul(OperandId x, OperandId weight, OperandId bias, const char* name) {
    const OperandId y = add_activation(name, program_.operands_[static_cast<size_t>(weight)].dims[1]);
    append(PONDER_OP_MATMUL, {x, weight, bias}, {y});
    return y;
}

void ProgramBuilder::rope(OperandId x, OperandId inverse_frequencies, const ponder_rope_params& params) {
    append(PONDER_OP_ROPE, {x, inverse_frequencies}, {x}).params.rope = params;
}

void ProgramBuilder::kv_write(OperandId k, OperandId v, const ponder_kv_params& params) {
    append(PONDER_OP_KV_WRITE, {k, v}, {}).params.kv_write = params;
}

OperandId ProgramBuilder::attention(OperandId q, const ponder_attention_params& params) {
    const OperandId y = add_activation("attention", int64_t{params.n_heads} * params.v_head_dim);
    append(PONDER_OP_ATTENTION, {q}, {y}).params.attention = params;
    return y;
}

OperandId ProgramBuilder::mla_attention(OperandId q, OperandId k_b, OperandId v_b, const ponder_mla_attention_params& params) {
    const OperandId y = add_activation("attention", int64_t{params.n_heads} * params.v_head_dim);
    append(PONDER_OP_MLA_ATTENTION, {q, k_b, v_b}, {y}).params.mla_attention = params;
    return y;
}

ProgramBuilder::Route ProgramBuilder::moe_route(OperandId logits, OperandId bias, const ponder_moe_route_params& params) {
    const Route route{add_activation("experts", params.n_used), add_activation("expert weights", params.n_used)};
    append(PONDER_OP_MOE_ROUTE, {logits, bias}, {route.experts, route.weights}).params.moe_route = params;
    return route;
}

OperandId ProgramBuilder::moe_ffn(OperandId x, const Route& route, const Experts& experts) {
    const OperandId y = add_activation("experts' sum", width(x));
    append(PONDER_OP_MOE_FFN, {x, route.experts, route.weights, experts.gate, experts.up, experts.down}, {y});
    return y;
}

void ProgramBuilder::moe_prefetch(OperandId expert_numbers, const Experts& experts) {
    append(PONDER_OP_MOE_PREFETCH, {expert_numbers, experts.gate, experts.up, experts.down}, {});
}

OperandId ProgramBuilder::swiglu(OperandId gate, OperandId up) {
    const OperandId y = add_activation("swiglu", width(gate));
    append(PONDER_OP_SWIGLU, {gate, up}, {y});
    return y;
}

void ProgramBuilder::add(OperandId x, OperandId delta) { append(PONDER_OP_ADD, {x, delta}, {x}); }

OperandId ProgramBuilder::gather_rows(OperandId x) {
    const OperandId y = add_output("output rows", width(x));
    append(PONDER_OP_GATHER_ROWS, {x}, {y});
    return y;
}

void ProgramBuilder::logits(OperandId x, OperandId weight, OperandId bias) {
    append(PONDER_OP_LOGITS, {x, weight, bias}, {});
    program_.view_.n_vocab = static_cast<int32_t>(program_.operands_[static_cast<size_t>(weight)].dims[1]);
}

void ProgramBuilder::receive(OperandId x, int32_t slot) { append(PONDER_OP_RECEIVE, {}, {x}).params.transfer = {slot}; }

void ProgramBuilder::send(OperandId x, int32_t slot) { append(PONDER_OP_SEND, {x}, {}).params.transfer = {slot}; }

OperandId ProgramBuilder::add_copy(const Program& from, OperandId id) {
    const ponder_operand& original = from.operands()[static_cast<size_t>(id)];
    const OperandId scales = original.scales < 0 ? kNoOperand : add_copy(from, original.scales);
    ponder_operand operand = original;
    operand.buffer = nullptr;
    operand.offset = 0;
    if (original.slices != nullptr) {
        program_.slices_.emplace_back(original.slices, original.slices + original.dims[2]);
        operand.slices = program_.slices_.back().data();
    }
    const OperandId copy = add_operand(operand, original.name);
    set_scales(copy, scales);
    return copy;
}

void ProgramBuilder::add_op(const ponder_op& op) {
    program_.ops_.push_back(op);
    if (op.kind == PONDER_OP_LOGITS)
        program_.view_.n_vocab = static_cast<int32_t>(program_.operands_[static_cast<size_t>(op.src[1])].dims[1]);
}

Result<Program> ProgramBuilder::finish() && {
    program_.view_.struct_size = sizeof(ponder_program);
    program_.view_.kv_type = kv_.type;
    program_.view_.kv_page_tokens = kv_.page_tokens;
    program_.view_.kv_page_bytes = kv_.page_bytes;
    program_.view_.operands = program_.operands_.data();
    program_.view_.n_operands = static_cast<int32_t>(program_.operands_.size());
    program_.view_.ops = program_.ops_.data();
    program_.view_.n_ops = static_cast<int32_t>(program_.ops_.size());
    for (const ponder_op& op : program_.ops_) {
        if (auto checked = check_op(program_.view_, op); !checked) return checked.error();
    }
    program_.view_.scratch_floats = layout_scratch(program_.operands_, program_.ops_);
    return std::move(program_);
}

}  // namespace ponder
