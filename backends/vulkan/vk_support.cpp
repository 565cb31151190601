// SPDX-License-Identifier: Apache-2.0
// Which operators the device takes, and why not the others.
#include "vk_recording.hpp"

namespace ponder::vk {

namespace {

constexpr int64_t kMaxExperts = 1024;
constexpr int64_t kMaxHeadDim = 1024;

const char* find_cache_obstacle(const ponder_program& program, const ponder_kv_params& kv) {
    if (program.kv_page_tokens != 32) return "cache pages of another size than 32 tokens";
    if (program.kv_type != PONDER_TYPE_F32 && program.kv_type != PONDER_TYPE_F16 && program.kv_type != PONDER_TYPE_Q8_0)
        return "unknown cache type";
    if (program.kv_type == PONDER_TYPE_F16 && (kv.k_width % 2 != 0 || kv.v_width % 2 != 0)) return "a float16 cache of odd width";
    return nullptr;
}

const char* find_shape_obstacle(const ponder_program& program, const ponder_op& op) {
    switch (op.kind) {
        case PONDER_OP_EMBED:
        case PONDER_OP_RMS_NORM:
        case PONDER_OP_MATMUL:
        case PONDER_OP_ROPE:
        case PONDER_OP_SWIGLU:
        case PONDER_OP_ADD:
        case PONDER_OP_GATHER_ROWS:
        case PONDER_OP_LOGITS:
        case PONDER_OP_MOE_FFN:
        case PONDER_OP_RECEIVE:
        case PONDER_OP_SEND:
            return nullptr;
        case PONDER_OP_KV_WRITE:
            return find_cache_obstacle(program, op.params.kv_write);
        case PONDER_OP_ATTENTION:
            if (op.params.attention.k_head_dim > kMaxHeadDim || op.params.attention.v_head_dim > kMaxHeadDim)
                return "heads wider than 1024";
            return find_cache_obstacle(program, op.params.attention.kv);
        case PONDER_OP_MLA_ATTENTION:
            if (op.params.mla_attention.kv.k_width > kMaxHeadDim) return "latents wider than 1024";
            return find_cache_obstacle(program, op.params.mla_attention.kv);
        case PONDER_OP_MOE_ROUTE:
            return program.operands[op.src[0]].dims[0] > kMaxExperts ? "more than 1024 experts" : nullptr;
        case PONDER_OP_MOE_PREFETCH:
            return "streamed experts; the cpu backend streams them";
        default:
            return "unknown operator kind";
    }
}

}  // namespace

const char* find_obstacle(const Device&, const ponder_program& program, const ponder_op& op) {
    for (const int32_t id : op.src) {
        if (id < 0 || program.operands[id].role != PONDER_OPERAND_WEIGHT) continue;
        const QuantType* type = find_quant_type(program.operands[id].type);
        if (type == nullptr || type->decode == nullptr) return "unknown weight type";
        if (program.operands[id].is_streamed != 0) return "streamed experts; the cpu backend streams them";
    }
    return find_shape_obstacle(program, op);
}

}  // namespace ponder::vk
