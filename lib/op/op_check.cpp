// SPDX-License-Identifier: Apache-2.0
// Shape and type rules, one row of a table per operator kind, and the scratch layout.
#include "op/op_check.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "quant/quant.hpp"

namespace ponder {

static_assert(kF8E4M3 == PONDER_TYPE_F8_E4M3);

namespace {

// Operand `id` of an operator, or null.
const ponder_operand* operand_at(const ponder_program& program, int32_t id) {
    return id >= 0 && id < program.n_operands ? &program.operands[id] : nullptr;
}

struct OpView {
    const ponder_op& op;
    const ponder_operand* src[6];
    const ponder_operand* dst[2];
};

bool is_rows(const ponder_operand* o) { return o != nullptr && o->role != PONDER_OPERAND_WEIGHT; }
bool is_weight(const ponder_operand* o) { return o != nullptr && o->role == PONDER_OPERAND_WEIGHT; }
bool is_vector(const ponder_operand* o, int64_t length) {
    return is_weight(o) && o->dims[0] == length && o->dims[1] == 1 && o->dims[2] == 1 && o->dims[3] == 1;
}
bool is_matrix(const ponder_operand* o, int64_t n_in) { return is_weight(o) && o->dims[0] == n_in && o->dims[2] == 1 && o->dims[3] == 1; }
bool same_rows(const ponder_operand* a, const ponder_operand* b) {
    return is_rows(a) && is_rows(b) && a->role == b->role && a->dims[0] == b->dims[0];
}

// Each rule returns null, or what is wrong.
const char* check_embed(const OpView& v) {
    if (!is_weight(v.src[0]) || !is_rows(v.dst[0]) || !is_matrix(v.src[0], v.dst[0]->dims[0]))
        return "table [n_vocab, width] and rows [width] needed";
    return nullptr;
}

const char* check_rms_norm(const OpView& v) {
    if (!same_rows(v.src[0], v.dst[0])) return "source and destination differ in shape";
    if (!is_weight(v.src[1]) || !is_vector(v.src[1], v.src[1]->dims[0]) || v.src[1]->dims[0] > v.src[0]->dims[0] ||
        (v.op.params.rms_norm.n_first == 0 && v.src[0]->dims[0] % v.src[1]->dims[0] != 0)) {
        return "the weight's length does not divide the width";
    }
    if (v.src[1]->type != PONDER_TYPE_F32) return "the weight is not F32";
    const int32_t n_first = v.op.params.rms_norm.n_first;
    if (n_first != 0 && (n_first != v.src[1]->dims[0] || v.dst[0] != v.src[0] || v.src[2] != nullptr))
        return "the normalised part is not the weight's length, or not in place";
    if (v.src[2] != nullptr && (!same_rows(v.src[0], v.src[2]) || v.dst[1] != v.src[0])) return "the residual differs in shape";
    return nullptr;
}

const char* check_product(const OpView& v) {
    if (!is_rows(v.src[0]) || !is_matrix(v.src[1], v.src[0]->dims[0])) return "the matrix's rows differ in length from the source";
    if (v.src[2] != nullptr && (!is_vector(v.src[2], v.src[1]->dims[1]) || v.src[2]->type != PONDER_TYPE_F32))
        return "the bias has another length";
    return nullptr;
}

const char* check_matmul(const OpView& v) {
    if (const char* why = check_product(v)) return why;
    if (!is_rows(v.dst[0]) || v.dst[0]->role != v.src[0]->role || v.dst[0]->dims[0] != v.src[1]->dims[1])
        return "the destination has another width";
    return nullptr;
}

const char* check_logits(const OpView& v) {
    if (const char* why = check_product(v)) return why;
    return v.src[0]->role == PONDER_OPERAND_OUTPUT ? nullptr : "the source is not made of output rows";
}

const char* check_rope(const OpView& v) {
    const ponder_rope_params& p = v.op.params.rope;
    if (!is_rows(v.src[0]) || v.dst[0] != v.src[0] || v.src[0]->dims[0] != int64_t{p.n_heads} * p.head_dim)
        return "width is not n_heads * head_dim";
    if (p.n_rot <= 0 || p.n_rot % 2 != 0 || p.n_before < 0 || p.n_before > p.head_dim - p.n_rot)
        return "n_rot is not an even number up to head_dim, or n_before leaves no room for it";
    if (!is_vector(v.src[1], p.n_rot / 2) || v.src[1]->type != PONDER_TYPE_F32) return "n_rot / 2 inverse frequencies needed";
    return nullptr;
}

const char* check_kv_write(const OpView& v) {
    const ponder_kv_params& p = v.op.params.kv_write;
    const bool has_values = p.v_width == 0 ? v.src[1] == nullptr : is_rows(v.src[1]) && v.src[1]->dims[0] == p.v_width;
    return is_rows(v.src[0]) && v.src[0]->dims[0] == p.k_width && has_values ? nullptr : "key or value width differs";
}

const char* check_attention(const OpView& v) {
    const ponder_attention_params& p = v.op.params.attention;
    if (p.n_kv_heads <= 0 || p.n_heads <= 0 || p.n_heads % p.n_kv_heads != 0) return "n_heads is not a multiple of n_kv_heads";
    if (p.kv.k_width != p.n_kv_heads * p.k_head_dim || p.kv.v_width != p.n_kv_heads * p.v_head_dim)
        return "cache width is not n_kv_heads * head_dim";
    if (!is_rows(v.src[0]) || v.src[0]->dims[0] != int64_t{p.n_heads} * p.k_head_dim) return "query width is not n_heads * k_head_dim";
    if (!is_rows(v.dst[0]) || v.dst[0]->dims[0] != int64_t{p.n_heads} * p.v_head_dim) return "result width is not n_heads * v_head_dim";
    return nullptr;
}

bool is_cube(const ponder_operand* o, int64_t a, int64_t b, int64_t c) {
    return is_weight(o) && o->dims[0] == a && o->dims[1] == b && o->dims[2] == c && o->dims[3] == 1;
}

const char* check_mla_attention(const OpView& v) {
    const ponder_mla_attention_params& p = v.op.params.mla_attention;
    if (p.n_heads <= 0 || p.n_nope <= 0 || p.n_rope <= 0 || p.n_latent <= 0 || p.v_head_dim <= 0) return "a size is not positive";
    if (p.kv.k_width != p.n_latent + p.n_rope || p.kv.v_width != 0) return "cache width is not n_latent + n_rope";
    if (!is_rows(v.src[0]) || v.src[0]->dims[0] != int64_t{p.n_heads} * (p.n_nope + p.n_rope)) return "query width is not n_heads heads";
    const bool fits = v.src[2] == nullptr
                          ? is_cube(v.src[1], p.n_latent, int64_t{p.n_heads} * (p.n_nope + p.v_head_dim), 1)
                          : is_cube(v.src[1], p.n_nope, p.n_latent, p.n_heads) && is_cube(v.src[2], p.n_latent, p.v_head_dim, p.n_heads);
    if (!fits) return "the maps of the latent have other shapes";
    if (!is_rows(v.dst[0]) || v.dst[0]->dims[0] != int64_t{p.n_heads} * p.v_head_dim) return "result width is not n_heads * v_head_dim";
    return nullptr;
}

const char* check_moe_route(const OpView& v) {
    const ponder_moe_route_params& p = v.op.params.moe_route;
    if (!is_rows(v.src[0])) return "router logits needed";
    const int64_t n_experts = v.src[0]->dims[0];
    if (v.src[1] != nullptr && (!is_vector(v.src[1], n_experts) || v.src[1]->type != PONDER_TYPE_F32)) return "the bias has another length";
    if (p.n_groups <= 0 || n_experts % p.n_groups != 0 || p.n_groups_used <= 0 || p.n_groups_used > p.n_groups)
        return "groups do not divide the experts";
    if (p.n_used <= 0 || p.n_used > n_experts / p.n_groups * p.n_groups_used) return "more experts are used than the groups hold";
    if (p.gating != PONDER_MOE_SOFTMAX && p.gating != PONDER_MOE_SIGMOID) return "unknown gating";
    for (const ponder_operand* dst : v.dst) {
        if (!is_rows(dst) || dst->dims[0] != p.n_used) return "a result's width is not n_used";
    }
    return nullptr;
}

const char* check_moe_ffn(const OpView& v) {
    if (!same_rows(v.src[0], v.dst[0])) return "source and destination differ in shape";
    if (!same_rows(v.src[1], v.src[2]) || v.src[1]->role != v.src[0]->role) return "expert numbers and weights differ in shape";
    if (!is_weight(v.src[5])) return "experts needed";
    const int64_t n_embd = v.src[0]->dims[0], n_ff = v.src[5]->dims[0], n_experts = v.src[5]->dims[2];
    const bool is_fused = v.src[4] == nullptr;
    if (!is_cube(v.src[5], n_ff, n_embd, n_experts) || !is_cube(v.src[3], n_embd, is_fused ? 2 * n_ff : n_ff, n_experts) ||
        (!is_fused && !is_cube(v.src[4], n_embd, n_ff, n_experts)))
        return "experts' matrices differ in shape";
    return nullptr;
}

const char* check_moe_prefetch(const OpView& v) {
    if (!is_rows(v.src[0])) return "expert numbers needed";
    for (int i = 1; i < 4; i++) {
        if (v.src[i] != nullptr && !is_weight(v.src[i])) return "experts are not weights";
    }
    return nullptr;
}

// Output rows stay where they are gathered.
bool is_transferable(const ponder_op& op, const ponder_operand* o) {
    return is_rows(o) && o->role == PONDER_OPERAND_ACTIVATION && op.params.transfer.slot >= 0;
}

const char* check_receive(const OpView& v) { return is_transferable(v.op, v.dst[0]) ? nullptr : "rows and a slot needed"; }

const char* check_send(const OpView& v) { return is_transferable(v.op, v.src[0]) ? nullptr : "rows and a slot needed"; }

// Factors of F8_E4M3, slices and streams go together with shapes and types.
const char* check_storage(const ponder_program& program, const ponder_operand& o) {
    if (o.role != PONDER_OPERAND_WEIGHT) return nullptr;
    if ((o.type == PONDER_TYPE_F8_E4M3) != (o.scales >= 0)) return "block factors belong to F8_E4M3 weights, and only to them";
    if (o.scales < 0) return nullptr;
    const ponder_operand* scales = operand_at(program, o.scales);
    if (scales == nullptr || scales->type != PONDER_TYPE_F32 || !is_cube(scales, f8_blocks(o.dims[0]), f8_blocks(o.dims[1]), o.dims[2]))
        return "block factors have another shape";
    return nullptr;
}

const char* check_swiglu(const OpView& v) {
    return same_rows(v.src[0], v.src[1]) && same_rows(v.src[0], v.dst[0]) ? nullptr : "gate, up and destination differ in shape";
}

const char* check_add(const OpView& v) {
    return same_rows(v.src[0], v.src[1]) && v.dst[0] == v.src[0] ? nullptr : "operands differ in shape, or it is not in place";
}

const char* check_gather_rows(const OpView& v) {
    const bool fits = is_rows(v.src[0]) && v.src[0]->role == PONDER_OPERAND_ACTIVATION && is_rows(v.dst[0]) &&
                      v.dst[0]->role == PONDER_OPERAND_OUTPUT && v.src[0]->dims[0] == v.dst[0]->dims[0];
    return fits ? nullptr : "rows to output rows of the same width needed";
}

struct OpRule {
    int32_t kind;
    const char* name;
    const char* (*check)(const OpView&);
};

constexpr OpRule kRules[] = {
    {PONDER_OP_EMBED, "embed", check_embed},
    {PONDER_OP_RMS_NORM, "rms_norm", check_rms_norm},
    {PONDER_OP_MATMUL, "matmul", check_matmul},
    {PONDER_OP_ROPE, "rope", check_rope},
    {PONDER_OP_KV_WRITE, "kv_write", check_kv_write},
    {PONDER_OP_ATTENTION, "attention", check_attention},
    {PONDER_OP_SWIGLU, "swiglu", check_swiglu},
    {PONDER_OP_ADD, "add", check_add},
    {PONDER_OP_GATHER_ROWS, "gather_rows", check_gather_rows},
    {PONDER_OP_LOGITS, "logits", check_logits},
    {PONDER_OP_MLA_ATTENTION, "mla_attention", check_mla_attention},
    {PONDER_OP_MOE_ROUTE, "moe_route", check_moe_route},
    {PONDER_OP_MOE_FFN, "moe_ffn", check_moe_ffn},
    {PONDER_OP_MOE_PREFETCH, "moe_prefetch", check_moe_prefetch},
    {PONDER_OP_RECEIVE, "receive", check_receive},
    {PONDER_OP_SEND, "send", check_send},
};

const OpRule* find_rule(int32_t kind) {
    const auto it = std::find_if(std::begin(kRules), std::end(kRules), [kind](const OpRule& r) { return r.kind == kind; });
    return it == std::end(kRules) ? nullptr : it;
}

}  // namespace

const char* op_name(int32_t kind) {
    const OpRule* rule = find_rule(kind);
    return rule == nullptr ? "unknown operator" : rule->name;
}

Result<void> check_op(const ponder_program& program, const ponder_op& op) {
    const OpRule* rule = find_rule(op.kind);
    if (rule == nullptr) return make_error(PONDER_STATUS_INTERNAL, "operator kind %d is unknown", op.kind);
    OpView view{op, {}, {}};
    for (int i = 0; i < 6; i++) view.src[i] = operand_at(program, op.src[i]);
    for (int i = 0; i < 2; i++) view.dst[i] = operand_at(program, op.dst[i]);
    const char* why = rule->check(view);
    for (const ponder_operand* operand : view.src) {
        if (why == nullptr && operand != nullptr) why = check_storage(program, *operand);
    }
    if (why != nullptr) return make_error(PONDER_STATUS_INTERNAL, "operator %s of layer %d: %s", rule->name, op.layer, why);
    return {};
}

uint64_t layout_scratch(std::span<ponder_operand> operands, std::span<const ponder_op> ops) {
    struct Lifetime {
        size_t first = std::numeric_limits<size_t>::max(), last = 0;
    };
    std::vector<Lifetime> lifetimes(operands.size());
    for (size_t i = 0; i < ops.size(); i++) {
        const auto touch = [&](int32_t id) {
            if (id < 0) return;
            Lifetime& life = lifetimes[static_cast<size_t>(id)];
            life.first = std::min(life.first, i);
            life.last = i;
        };
        for (const int32_t id : ops[i].src) touch(id);
        for (const int32_t id : ops[i].dst) touch(id);
    }

    struct Block {
        uint64_t begin, end;
        size_t last;
    };
    std::vector<size_t> order;
    for (size_t i = 0; i < operands.size(); i++) {
        if (operands[i].role != PONDER_OPERAND_WEIGHT && lifetimes[i].first <= lifetimes[i].last) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lifetimes[a].first < lifetimes[b].first; });
    std::vector<Block> live;  // sorted by begin
    uint64_t total = 0;
    for (const size_t i : order) {
        std::erase_if(live, [&](const Block& b) { return b.last < lifetimes[i].first; });
        const auto size = static_cast<uint64_t>(operands[i].dims[0]);
        uint64_t begin = 0;
        auto place = live.begin();
        for (; place != live.end() && place->begin < begin + size; ++place) begin = place->end;
        operands[i].offset = begin;
        live.insert(place, {begin, begin + size, lifetimes[i].last});
        total = std::max(total, begin + size);
    }
    return total;
}

}  // namespace ponder
